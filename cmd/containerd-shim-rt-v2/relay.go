package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
)

// relay passes the messages of one client on to the worker, and the answers back. It
// remembers what is not answered yet. When the worker crashes, it asks the next one again
// what can be asked twice, and tells the client that the rest has failed.
type relay struct {
	front net.Conn
	dial  func() (net.Conn, error)

	mu      sync.Mutex // writes to back
	back    net.Conn
	waiting map[uint32][]byte // requests by stream
}

func newRelay(front net.Conn, dial func() (net.Conn, error)) *relay {
	return &relay{front: front, dial: dial, waiting: map[uint32][]byte{}}
}

// A message of ttrpc is a header, in network byte order, and data:
// github.com/containerd/ttrpc, PROTOCOL.md.
const (
	frameHeader = 10
	frameMost   = 4 << 20

	frameRequest  = 1
	frameResponse = 2
)

func frameStream(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[4:]) }
func frameKind(frame []byte) byte     { return frame[8] }

func readFrame(r io.Reader) ([]byte, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > frameMost {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	frame := make([]byte, frameHeader+size)
	copy(frame, header[:])
	_, err := io.ReadFull(r, frame[frameHeader:])
	return frame, err
}

// run relays until the client goes away, or the guard ends.
func (r *relay) run() {
	defer r.front.Close()
	back, err := r.dial()
	if err != nil {
		return
	}
	r.back = back
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		defer r.front.Close()
		for r.answers() {
		}
	}()
	for {
		frame, err := readFrame(r.front)
		if err != nil {
			break
		}
		r.mu.Lock()
		if frameKind(frame) == frameRequest {
			r.waiting[frameStream(frame)] = frame
		}
		_, _ = r.back.Write(frame) // a failure is seen by who reads the answers
		r.mu.Unlock()
	}
	r.mu.Lock()
	r.dial = nil
	r.back.Close()
	r.mu.Unlock()
	<-answers
}

// answers passes answers on until the worker is gone, and connects to the next one.
func (r *relay) answers() bool {
	for {
		frame, err := readFrame(r.back)
		if err != nil {
			break
		}
		r.mu.Lock()
		delete(r.waiting, frameStream(frame))
		r.mu.Unlock()
		if _, err := r.front.Write(frame); err != nil {
			return false
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.back.Close()
	for r.dial != nil {
		back, err := r.dial()
		if err == errOver {
			return false
		}
		if err == nil {
			r.back = back
			return r.again()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// again asks the new worker what the old one has not answered.
func (r *relay) again() bool {
	for _, stream := range slices.Sorted(maps.Keys(r.waiting)) {
		frame := r.waiting[stream]
		if repeatable[methodOf(frame[frameHeader:])] {
			_, _ = r.back.Write(frame)
			continue
		}
		delete(r.waiting, stream)
		if _, err := r.front.Write(crashAnswer(stream)); err != nil {
			return false
		}
	}
	return true
}

// repeatable are the methods that may be called twice.
var repeatable = map[string]bool{
	"Wait": true, "State": true, "Pids": true, "Stats": true, "Connect": true, "Kill": true, "Delete": true, "Shutdown": true,
	"Pause": true, "Resume": true, "Update": true, "ResizePty": true, "CloseIO": true,
	"WaitSandbox": true, "SandboxStatus": true, "SandboxMetrics": true, "PingSandbox": true, "Platform": true,
	"StopSandbox": true, "ShutdownSandbox": true, "UpdateSandbox": true,
}

// methodOf is the field method of a ttrpc.Request.
func methodOf(request []byte) (method string) {
	_ = fields(request, func(number protowire.Number, data []byte) error {
		if number == 2 {
			method = string(data)
		}
		return nil
	}, nil)
	return method
}

// crashAnswer is a ttrpc.Response with an error.
func crashAnswer(stream uint32) []byte {
	status := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(codes.Aborted))
	status = protowire.AppendString(protowire.AppendTag(status, 2, protowire.BytesType), "the shim crashed as it did this")
	response := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), status)
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(response)))
	frame = binary.BigEndian.AppendUint32(frame, stream)
	return append(append(frame, frameResponse, 0), response...)
}
