package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrap "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	taskapi3 "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestMain is the shim itself in the processes that the tests start as such.
func TestMain(m *testing.M) {
	if os.Getenv("RT_TEST_IS_SHIM") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The two versions of the task API have the same methods and, on the wire, messages.
func TestVersionsOfTheTaskAPI(t *testing.T) {
	services := func(f protoreflect.FileDescriptor) (list []string) {
		s := f.Services().Get(0)
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			list = append(list, string(m.Name())+" "+string(m.Input().Name())+" "+string(m.Output().Name()))
		}
		for i := range f.Messages().Len() {
			m := f.Messages().Get(i)
			for j := range m.Fields().Len() {
				d := m.Fields().Get(j)
				list = append(list, strings.Join([]string{string(m.Name()), string(d.Name()), d.Kind().String(), d.Cardinality().String(), string(protowire.AppendVarint(nil, uint64(d.Number())))}, " "))
			}
		}
		return list
	}
	two, three := taskapi.File_runtime_task_v2_shim_proto, taskapi3.File_runtime_task_v3_shim_proto
	if a, b := services(two), services(three); !slices.Equal(a, b) {
		t.Errorf("%q\n%q", a, b)
	}
	if string(two.Services().Get(0).FullName()) != taskServices[addressOnly] || string(three.Services().Get(0).FullName()) != taskServices[withBootstrap] {
		t.Error(taskServices)
	}
	path := serve(t, new(service).RegisterTTRPC)
	conn, err := net.Dial("unix", path)
	must(t, err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	for _, m := range services(two)[:two.Services().Get(0).Methods().Len()] {
		name := strings.Fields(m)[0]
		for _, s := range taskServices {
			// A message that no method can read shows that there is one.
			err := client.Call(t.Context(), s, name, &taskapi.CreateTaskRequest{ID: "\xff"}, new(taskapi.CreateTaskResponse))
			if err == nil || strings.Contains(err.Error(), "nimplemented") {
				t.Errorf("%s.%s: %v", s, name, err)
			}
		}
	}
}

// serve is a server of services, which the end of the test closes.
func serve(t *testing.T, register func(*ttrpc.Server) error) (socket string) {
	t.Helper()
	server, err := ttrpc.NewServer()
	must(t, err)
	must(t, register(server))
	dir, err := os.MkdirTemp("", "rt") // a socket's path has 107 letters at most
	must(t, err)
	socket = filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	must(t, err)
	go func() { _ = server.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		_ = server.Close()
		os.RemoveAll(dir)
	})
	return socket
}

// A container that joins a shim which runs since before an update is told the version
// that this one serves.
func TestVersionOfARunningShim(t *testing.T) {
	old := serve(t, func(server *ttrpc.Server) error {
		server.RegisterService(taskServices[addressOnly], &ttrpc.ServiceDesc{})
		return nil
	})
	for socket, want := range map[string]int32{old: addressOnly, serve(t, new(service).RegisterTTRPC): withBootstrap, "/no/such": addressOnly} {
		if got, err := versionOf(t.Context(), "unix://"+socket); err != nil || got != want {
			t.Errorf("%d, %v, not %d", got, err, want)
		}
	}
}

// startProcess starts a shim as containerd 2.3 does, and returns its address.
func startProcess(t *testing.T, s *shimUnderTest, bundle, id string) (address string, pid int) {
	t.Helper()
	sockets := s.sockets()
	var params []byte
	for number, value := range map[protowire.Number]string{1: id, 2: "test", 9: sockets} {
		params = protowire.AppendString(protowire.AppendTag(params, number, protowire.BytesType), value)
	}
	cmd := shimProcess(t, s, bundle, id, "start")
	cmd.Stdin = strings.NewReader(string(params))
	out, err := cmd.Output()
	must(t, err)
	answer := new(bootstrap.BootstrapResult)
	must(t, proto.Unmarshal(out, answer))
	if answer.Version != 3 || answer.Protocol != "ttrpc" || !strings.HasPrefix(answer.Address, "unix://"+sockets+"/") {
		t.Errorf("%s", out)
	}
	response := new(taskapi3.ConnectResponse)
	must(t, call(t, answer.Address, "Connect", &taskapi3.ConnectRequest{ID: id}, response))
	t.Cleanup(func() { _ = unix.Kill(int(response.ShimPid), unix.SIGKILL) })
	return answer.Address, int(response.ShimPid)
}

// sockets is the directory of the sockets of the test's shims.
func (s *shimUnderTest) sockets() string {
	s.t.Helper()
	if s.socketDir == "" {
		dir, err := os.MkdirTemp("", "rt") // a socket's path has 107 letters at most
		must(s.t, err)
		s.t.Cleanup(func() { os.RemoveAll(dir) })
		s.socketDir = dir
	}
	return s.socketDir
}

func call(t *testing.T, address, method string, request, response any) error {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(address, "unix://"))
	must(t, err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return client.Call(ctx, taskServices[withBootstrap], method, request, response)
}

// shutDown asks the shim to end. Its answer may be lost, and containerd takes a closed
// connection for it.
func shutDown(t *testing.T, address, id string) {
	t.Helper()
	if err := call(t, address, "Shutdown", &taskapi3.ShutdownRequest{ID: id}, empty); !errors.Is(err, ttrpc.ErrClosed) {
		must(t, err)
	}
}

func shimProcess(t *testing.T, s *shimUnderTest, bundle, id, action string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "-namespace", "test", "-id", id, "-address", filepath.Join(s.dir, "none"), "-bundle", bundle, action)
	cmd.Dir = bundle
	cmd.Env = append(os.Environ(), "RT_TEST_IS_SHIM=yes", "TTRPC_ADDRESS="+filepath.Join(s.dir, "none"))
	cmd.Stderr = os.Stderr
	return cmd
}

// However a shim ends, its socket goes, and the file that names it.
func TestSocketGoesWithTheShim(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *shimUnderTest, address string, pid int, bundle string){
		"Shutdown": func(t *testing.T, _ *shimUnderTest, address string, _ int, _ string) {
			shutDown(t, address, "box")
		},
		"Shutdown without its bundle": func(t *testing.T, _ *shimUnderTest, address string, _ int, bundle string) {
			must(t, os.RemoveAll(bundle))
			shutDown(t, address, "box")
		},
		"SIGTERM": func(t *testing.T, _ *shimUnderTest, _ string, pid int, _ string) {
			must(t, unix.Kill(pid, unix.SIGTERM))
		},
		"SIGKILL and clean-up": func(t *testing.T, s *shimUnderTest, _ string, pid int, bundle string) {
			must(t, unix.Kill(pid, unix.SIGKILL))
			awaitEnd(t, pid)
			must(t, shimProcess(t, s, bundle, "box", "delete").Run())
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShim(t)
			bundle := s.bundle("box", "", nil)
			log := filepath.Join(bundle, "log")
			must(t, unix.Mkfifo(log, 0o600))
			reader, err := os.OpenFile(log, os.O_RDWR, 0)
			must(t, err)
			defer reader.Close()
			address, pid := startProcess(t, s, bundle, "box")
			end(t, s, address, pid, bundle)
			files := []string{strings.TrimPrefix(address, "unix://"), filepath.Join(bundle, addressFile)}
			for deadline := time.Now().Add(patience); slices.ContainsFunc(files, there); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("left: %q", files)
				}
			}
		})
	}
}

func there(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// A shim that has no time for a new client is not taken for a dead one.
func TestIsServed(t *testing.T) {
	dir := t.TempDir()
	listen := func(name string) (fd int, address string) {
		path := filepath.Join(dir, name)
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
		must(t, unix.Listen(fd, 0))
		return fd, "unix://" + path
	}
	busy, busyAddress := listen("busy")
	defer unix.Close(busy)
	for { // until there is no place left
		conn, err := shim.AnonDialer(busyAddress, time.Second)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	dead, deadAddress := listen("dead")
	unix.Close(dead)
	for address, want := range map[string]bool{busyAddress: true, deadAddress: false, "unix://" + dir + "/none": false} {
		if got := isServed(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
