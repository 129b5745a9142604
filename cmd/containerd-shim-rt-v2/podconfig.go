package main

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// podConfig is what the shim needs to know of a pod: runtime.v1.PodSandboxConfig of the
// CRI. (The CRI's own package describes 200 messages at every start of a shim.)
type podConfig struct {
	Name, UID, Namespace string
	Hostname             string
	DNS                  *dnsConfig
	Annotations          map[string]string
	CgroupParent         string
	Sysctls              map[string]string
	Network, PID, IPC    namespaceMode
	// UserNamespace is nil if the pod has the host's.
	UserNamespace *userNamespace
	// RunAsUser and RunAsGroup are nil if nothing is said.
	RunAsUser, RunAsGroup *int64
	SupplementalGroups    []int64
}

type dnsConfig struct{ Servers, Searches, Options []string }

// namespaceMode is runtime.v1.NamespaceMode.
type namespaceMode int32

const (
	podNamespace namespaceMode = iota
	containerNamespace
	nodeNamespace
)

type userNamespace struct{ UIDs, GIDs []idMapping }

type idMapping struct{ Host, Container, Size uint32 }

const podConfigName = "runtime.v1.PodSandboxConfig"

func parsePodConfig(message []byte) (*podConfig, error) {
	p := &podConfig{Annotations: map[string]string{}, Sysctls: map[string]string{}}
	err := fields(message, func(number protowire.Number, data []byte) error {
		switch number {
		case 1:
			return p.metadata(data)
		case 2:
			p.Hostname = string(data)
		case 4:
			return p.dns(data)
		case 7:
			return entry(p.Annotations, data)
		case 8:
			return p.linux(data)
		}
		return nil
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", podConfigName, err)
	}
	return p, nil
}

func (p *podConfig) metadata(message []byte) error {
	return fields(message, func(number protowire.Number, data []byte) error {
		switch number {
		case 1:
			p.Name = string(data)
		case 2:
			p.UID = string(data)
		case 3:
			p.Namespace = string(data)
		}
		return nil
	}, nil)
}

func (p *podConfig) dns(message []byte) error {
	p.DNS = new(dnsConfig)
	return fields(message, func(number protowire.Number, data []byte) error {
		for n, list := range map[protowire.Number]*[]string{1: &p.DNS.Servers, 2: &p.DNS.Searches, 3: &p.DNS.Options} {
			if n == number {
				*list = append(*list, string(data))
			}
		}
		return nil
	}, nil)
}

// entry adds an entry of a map.
func entry(to map[string]string, message []byte) error {
	var key, value string
	err := fields(message, func(number protowire.Number, data []byte) error {
		switch number {
		case 1:
			key = string(data)
		case 2:
			value = string(data)
		}
		return nil
	}, nil)
	to[key] = value
	return err
}

// linux reads runtime.v1.LinuxPodSandboxConfig.
func (p *podConfig) linux(message []byte) error {
	return fields(message, func(number protowire.Number, data []byte) error {
		switch number {
		case 1:
			p.CgroupParent = string(data)
		case 2:
			return p.security(data)
		case 3:
			return entry(p.Sysctls, data)
		}
		return nil
	}, nil)
}

// security reads runtime.v1.LinuxSandboxSecurityContext.
func (p *podConfig) security(message []byte) error {
	return fields(message, func(number protowire.Number, data []byte) (err error) {
		switch number {
		case 1:
			return p.namespaces(data)
		case 3:
			p.RunAsUser, err = int64Value(data)
		case 5:
			for len(data) > 0 { // packed
				value, n := protowire.ConsumeVarint(data)
				if n < 0 {
					return protowire.ParseError(n)
				}
				p.SupplementalGroups = append(p.SupplementalGroups, int64(value))
				data = data[n:]
			}
		case 8:
			p.RunAsGroup, err = int64Value(data)
		}
		return err
	}, func(number protowire.Number, value uint64) {
		if number == 5 {
			p.SupplementalGroups = append(p.SupplementalGroups, int64(value))
		}
	})
}

func int64Value(message []byte) (*int64, error) {
	n := new(int64)
	return n, fields(message, nil, func(number protowire.Number, value uint64) {
		if number == 1 {
			*n = int64(value)
		}
	})
}

// namespaces reads runtime.v1.NamespaceOption.
func (p *podConfig) namespaces(message []byte) error {
	return fields(message, func(number protowire.Number, data []byte) error {
		if number == 5 {
			return p.userNamespace(data)
		}
		return nil
	}, func(number protowire.Number, value uint64) {
		switch mode := namespaceMode(value); number {
		case 1:
			p.Network = mode
		case 2:
			p.PID = mode
		case 3:
			p.IPC = mode
		}
	})
}

// userNamespace reads runtime.v1.UserNamespace.
func (p *podConfig) userNamespace(message []byte) error {
	mode, n := podNamespace, new(userNamespace)
	err := fields(message, func(number protowire.Number, data []byte) error {
		switch number {
		case 2:
			return mapping(&n.UIDs, data)
		case 3:
			return mapping(&n.GIDs, data)
		}
		return nil
	}, func(number protowire.Number, value uint64) {
		if number == 1 {
			mode = namespaceMode(value)
		}
	})
	switch {
	case err != nil:
		return err
	case mode == podNamespace:
		for name, list := range map[string][]idMapping{"uids": n.UIDs, "gids": n.GIDs} {
			if !slices.ContainsFunc(list, func(m idMapping) bool { return m.Container == 0 && m.Size > 0 }) {
				return fmt.Errorf("linux.security_context.namespace_options.userns_options.%s: id 0 is not mapped", name)
			}
		}
		p.UserNamespace = n
	case mode != nodeNamespace:
		return fmt.Errorf("linux.security_context.namespace_options.userns_options.mode: %d is neither POD nor NODE", mode)
	}
	return nil
}

func mapping(to *[]idMapping, message []byte) error {
	var m idMapping
	err := fields(message, nil, func(number protowire.Number, value uint64) {
		switch number {
		case 1:
			m.Host = uint32(value)
		case 2:
			m.Container = uint32(value)
		case 3:
			m.Size = uint32(value)
		}
	})
	*to = append(*to, m)
	return err
}
