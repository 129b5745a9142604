package main

import (
	"fmt"
	"os"
	"sync"
)

// keptStreams tells the guard of the descriptors of a container's streams: they must not
// be closed when a worker crashes, and must be when a stream ends.
type keptStreams struct {
	mu     sync.Mutex
	keeper *keeper
	name   string // of the container's record
	ended  map[string]bool
}

// The names of the records of streams. An output's has the number of the output.
const (
	keptInput    = "input"
	keptWriter   = "writer"
	keptTerminal = "terminal"
)

func keptOutput(i int) string { return fmt.Sprint("output", i) }

// outputRecord tells which descriptors of an output there are.
type outputRecord struct{ Client, Pipe bool }

// keepIn lets the guard keep the streams. It can be repeated when there are more.
func (st *streams) keepIn(k *keeper, name string) {
	if k == nil {
		return
	}
	st.kept.mu.Lock()
	defer st.kept.mu.Unlock()
	st.kept.keeper, st.kept.name = k, name
	put := func(stream string, data any, files ...*os.File) {
		if !st.kept.ended[stream] {
			_ = k.put(name+"/"+stream, 0, data, files...) // one that is closed now has ended
		}
	}
	for i, o := range st.outputs {
		r, files := outputRecord{o.client != nil, o.pipe != nil}, []*os.File{o.to}
		if r.Client {
			files = append(files, o.client)
		}
		if r.Pipe {
			files = append(files, o.pipe)
		}
		put(keptOutput(i), r, files...)
	}
	if st.client != nil && st.input != nil {
		put(keptInput, nil, st.client, st.input)
	} else if st.client != nil {
		put(keptInput, nil, st.client)
	}
	if st.writer != nil {
		put(keptWriter, nil, st.writer)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.master != nil {
		put(keptTerminal, nil, st.master)
	}
}

// gone says that a stream has ended.
func (st *streams) gone(stream string) {
	st.kept.mu.Lock()
	defer st.kept.mu.Unlock()
	if st.kept.ended == nil {
		st.kept.ended = map[string]bool{}
	}
	st.kept.ended[stream] = true
	if st.kept.keeper != nil {
		st.kept.keeper.drop(st.kept.name + "/" + stream)
	}
}

// adoptStreams goes on with streams of a worker that crashed.
func adoptStreams(s stdio, o *taskOptions, files map[string]kept) (*streams, error) {
	st := &streams{uid: int(o.IoUID), gid: int(o.IoGID)}
	if in, ok := files[keptInput]; ok {
		st.client = in.files[0]
		if len(in.files) > 1 {
			st.input = in.files[1]
		}
	}
	if w, ok := files[keptWriter]; ok {
		st.writer = w.files[0]
	}
	for i := range 2 {
		r, ok := files[keptOutput(i)]
		if !ok {
			continue
		}
		var record outputRecord
		if err := r.decode(&record); err != nil {
			return nil, err
		}
		out, rest := &output{to: r.files[0]}, r.files[1:]
		if record.Client {
			out.client, rest = rest[0], rest[1:]
		}
		if record.Pipe {
			out.pipe = rest[0]
			st.copies.Go(func() { st.copyOutput(i, out, out.pipe) })
		}
		st.outputs = append(st.outputs, out)
	}
	if t, ok := files[keptTerminal]; ok {
		return st, st.takeTerminal(t.files[0])
	}
	if st.client != nil && !s.terminal {
		go st.copyInput(st.input)
	}
	return st, nil
}
