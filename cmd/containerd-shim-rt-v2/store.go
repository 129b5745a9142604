package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// store is what the guard keeps for the next worker: records, with descriptors.
type store struct {
	mu      sync.Mutex
	records map[string]record
}

// record is something of a container or pod. Its name is a path.
type record struct {
	data json.RawMessage
	// pid is a process whose status is for the worker only.
	pid int
	fds []int
}

// question is what a worker asks of the store: one datagram, with descriptors.
type question struct {
	// Put keeps a record, in the place of what has this name.
	Put string `json:",omitempty"`
	// Drop removes the records that have this name, or are below it.
	Drop string          `json:",omitempty"`
	Data json.RawMessage `json:",omitempty"`
	Pid  int             `json:",omitempty"`
	// Status asks how a process ended.
	Status int `json:",omitempty"`
	// All asks for all records: an answer for each, and an empty one.
	All bool `json:",omitempty"`
}

type answer struct {
	Name   string          `json:",omitempty"`
	Data   json.RawMessage `json:",omitempty"`
	Status unix.WaitStatus `json:",omitempty"`
	Error  string          `json:",omitempty"`
}

// datagramMost is what a datagram has at most: the kernel refuses one that is larger than a
// socket's buffer. A larger message, such as the configuration of a pod with many
// annotations, is in a file, the last of the descriptors; the datagram is inFile then.
const (
	datagramMost = 32 << 10
	rightsMost   = 8

	inFile = "\x00"
)

func sendDatagram(fd int, message any, fds []int) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(data) > datagramMost {
		file, err := fileOf(data)
		if err != nil {
			return err
		}
		defer file.Close()
		data, fds = []byte(inFile), append(slices.Clone(fds), int(file.Fd()))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return os.NewSyscallError("sendmsg", unix.Sendmsg(fd, data, rights, nil, unix.MSG_NOSIGNAL))
}

// fileOf is a file in memory.
func fileOf(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("rt-shim-record", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "record")
	if _, err := file.WriteAt(data, 0); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// receiveDatagram returns what comes; its descriptors are the caller's.
func receiveDatagram(fd int, message any) (fds []int, err error) {
	data, rights := make([]byte, datagramMost), make([]byte, unix.CmsgSpace(4*rightsMost))
	n, size := 0, 0
	for err = unix.EINTR; err == unix.EINTR; {
		n, size, _, _, err = unix.Recvmsg(fd, data, rights, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	if n == 0 {
		return nil, os.ErrClosed
	}
	messages, err := unix.ParseSocketControlMessage(rights[:size])
	for i := range messages {
		if more, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, more...)
		}
	}
	data = data[:n]
	if last := len(fds) - 1; string(data) == inFile && last >= 0 {
		file := os.NewFile(uintptr(fds[last]), "record")
		defer file.Close()
		fds = fds[:last]
		data, err = io.ReadAll(file) // from the beginning: it was written without moving the offset
	}
	return fds, errors.Join(err, json.Unmarshal(data, message))
}

// serve answers a worker until it is gone.
func (s *store) serve(fd int) {
	defer unix.Close(fd)
	for {
		var q question
		fds, err := receiveDatagram(fd, &q)
		if err != nil {
			closeAll(fds)
			return
		}
		s.take(q, fds)
		for _, a := range s.answers(q) {
			if sendDatagram(fd, a.answer, a.fds) != nil {
				return
			}
		}
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// take does what a worker wants to be kept or dropped.
func (s *store) take(q question, fds []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string]record{}
	}
	for name, r := range s.records {
		if q.Drop != "" && (name == q.Drop || strings.HasPrefix(name, q.Drop+"/")) || q.Put == name {
			closeAll(r.fds)
			delete(s.records, name)
		}
	}
	if q.Put != "" {
		s.records[q.Put] = record{q.Data, q.Pid, fds}
		return
	}
	closeAll(fds)
}

// openLog makes the log of one of the bundles the standard error.
func (s *store) openLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := new(sharedLog)
	for _, r := range s.records {
		var of struct{ Bundle string }
		if json.Unmarshal(r.data, &of) == nil && of.Bundle != "" {
			l.add(of.Bundle)
		}
	}
}

type answerWithFiles struct {
	answer
	fds []int
}

func (s *store) answers(q question) (list []answerWithFiles) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Status != 0 {
		var a answer
		if pid, err := unix.Wait4(q.Status, &a.Status, unix.WNOHANG, nil); err != nil || pid != q.Status {
			a.Error = fmt.Sprintf("process %d: wait4: %d, %v", q.Status, pid, err)
		}
		list = append(list, answerWithFiles{answer: a})
	}
	if q.All {
		for name, r := range s.records {
			list = append(list, answerWithFiles{answer{Name: name, Data: r.data}, r.fds})
		}
		list = append(list, answerWithFiles{})
	}
	return list
}

// keeps tells whether a process's status is for the worker.
func (s *store) keeps(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.pid == pid {
			return true
		}
	}
	return false
}

// keeper is a worker's side of the store; nil does nothing.
type keeper struct {
	mu sync.Mutex
	fd int
}

// put keeps a record; pid is 0, or a process whose status the next worker asks for.
func (k *keeper) put(name string, pid int, value any, files ...*os.File) error {
	if k == nil {
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var fds []int
	defer func() { closeAll(fds) }()
	for _, f := range files {
		fd, err := duplicate(f)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return sendDatagram(k.fd, question{Put: name, Pid: pid, Data: data}, fds)
}

// duplicate is a descriptor of a file whose mode stays as it is.
func duplicate(f *os.File) (int, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := conn.Control(func(from uintptr) { fd, dupErr = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl(F_DUPFD_CLOEXEC)", dupErr)
}

// drop removes records: one, and those below it.
func (k *keeper) drop(name string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = sendDatagram(k.fd, question{Drop: name}, nil) // without a guard the worker ends
}

// status is how a process ended that has become the guard's child.
func (k *keeper) status(pid int) (unix.WaitStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := sendDatagram(k.fd, question{Status: pid}, nil); err != nil {
		return 0, err
	}
	var a answer
	if _, err := receiveDatagram(k.fd, &a); err != nil {
		return 0, err
	}
	if a.Error != "" {
		return 0, errors.New(a.Error)
	}
	return a.Status, nil
}

// kept is a record as the next worker gets it.
type kept struct {
	data  json.RawMessage
	files []*os.File
}

func (r kept) decode(value any) error { return json.Unmarshal(r.data, value) }

// all are the records that there are.
func (k *keeper) all() (map[string]kept, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := sendDatagram(k.fd, question{All: true}, nil); err != nil {
		return nil, err
	}
	list := map[string]kept{}
	for {
		var a answer
		fds, err := receiveDatagram(k.fd, &a)
		if err != nil {
			return nil, err
		}
		if a.Name == "" {
			return list, nil
		}
		r := kept{data: a.Data}
		for _, fd := range fds {
			r.files = append(r.files, os.NewFile(uintptr(fd), a.Name))
		}
		list[a.Name] = r
	}
}
