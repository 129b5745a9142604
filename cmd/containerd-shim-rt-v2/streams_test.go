package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"golang.org/x/sys/unix"
)

func open(t *testing.T, s stdio) (*streams, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return openStreams(ctx, "test", "box", s, new(taskOptions))
}

func makeFifo(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The client reads what the process wrote, though it has ended, and then the end.
func TestOutputByFifo(t *testing.T) {
	path := makeFifo(t, "out")
	read := make(chan string)
	go func() {
		f, err := os.Open(path)
		if err != nil {
			read <- err.Error()
			return
		}
		defer f.Close()
		data, _ := io.ReadAll(f)
		read <- string(data)
	}()
	st, err := open(t, stdio{stdout: path})
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	if _, err := st.stdout.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	st.started()
	st.drain()
	if got := <-read; got != "text" {
		t.Error(got)
	}
}

// A client that goes away must not end the process: there is still a reader.
func TestOutputWithoutAClient(t *testing.T) {
	path := makeFifo(t, "out")
	client, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	st, err := open(t, stdio{stdout: path})
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	client.Close()
	if _, err := st.stdout.WriteString("text"); err != nil {
		t.Error(err)
	}
	start := time.Now()
	st.drain() // there is nobody to wait for, for long
	if waited := time.Since(start); waited < drainTime {
		t.Errorf("it gave up after %v", waited)
	}
}

func TestInputByFifo(t *testing.T) {
	path := makeFifo(t, "in")
	st, err := open(t, stdio{stdin: path}) // before the client
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	client, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	st.holdInput(path)
	if _, err := client.WriteString("one "); err != nil {
		t.Fatal(err)
	}
	client.Close() // it may come back
	if client, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// More than a pipe takes, and the end before it is read.
	rest := strings.Repeat("text", 30<<10)
	written := make(chan error)
	go func() {
		_, err := client.WriteString(rest)
		client.Close()
		written <- err
	}()
	start := make([]byte, 8)
	if _, err := io.ReadFull(st.stdin, start); err != nil || string(start) != "one text" {
		t.Fatalf("%q, %v", start, err)
	}
	st.closeInput()
	data, err := io.ReadAll(st.stdin)
	if err != nil || len(data) != len(rest)-4 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// Before the start, the client's end is the end.
func TestInputThatEndsEarly(t *testing.T) {
	path := makeFifo(t, "in")
	st, err := open(t, stdio{stdin: path})
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	if err := os.WriteFile(path, []byte("text"), 0); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(st.stdin); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	st.holdInput(path)
}

// The process has no descriptor of the file: it could do more than write to its
// end.
func TestOutputToFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "log")
	st, err := open(t, stdio{stdout: "file://" + path, stderr: "file://" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	var want string
	for i, f := range []*os.File{st.stdout, st.stderr, st.stdout} {
		if info, err := f.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		line := strings.Repeat(string(rune('a'+i)), 50<<10) + "\n"
		want += line
		if _, err := f.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	st.drain()
	if data, err := os.ReadFile(path); err != nil || string(data) != want {
		t.Errorf("%d bytes, want %d, %v", len(data), len(want), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestFaultyStreams(t *testing.T) {
	for word, s := range map[string]stdio{
		"http":          {stdout: "http://host/"},
		"/no/such":      {stderr: "/no/such"},
		"not get ready": {stdout: "binary:///bin/sh?-c=" + "exec%20sleep%20100"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := openStreams(ctx, "test", "box", s, new(taskOptions))
		cancel()
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("no %q in: %v", word, err)
		}
	}
}

// Nobody opens the other end of a fifo: the request's patience is the limit.
func TestOutputThatNobodyReads(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := openStreams(ctx, "test", "box", stdio{stdout: makeFifo(t, "out")}, new(taskOptions))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// A process that does not read any more is told to who writes, whether or not the
// client holds the other end of the fifo.
func TestInputThatNobodyReads(t *testing.T) {
	path := makeFifo(t, "in")
	st, err := open(t, stdio{stdin: path})
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	client, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	st.holdInput(path)
	st.started() // the process, too, has closed its end
	if err := client.SetWriteDeadline(time.Now().Add(patience / 2)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = client.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.EPIPE) {
		t.Error(err)
	}
}

// A logger gets the arguments of its address, the empty ones, too.
func TestArgumentsOfLoggers(t *testing.T) {
	for _, scheme := range []string{"binary", "binary-v2"} {
		dir := t.TempDir()
		logger := filepath.Join(dir, "logger")
		script := `#!/bin/sh
for a; do echo "<$a>"; done > ` + dir + `/args
echo ready >&5
exec 5>&-
cat <&3 > ` + dir + `/out
`
		if err := os.WriteFile(logger, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		st, err := open(t, stdio{stdout: scheme + "://" + logger + "?a=b&empty=&none"})
		if err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		if _, err := st.stdout.WriteString("text"); err != nil {
			t.Error(err)
		}
		st.close()
		for file, want := range map[string]string{"args": "<a>\n<b>\n<empty>\n<>\n<none>\n<>\n", "out": "text"} {
			if data, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(data) != want {
				t.Errorf("%s: %s is %q, %v", scheme, file, data, err)
			}
		}
	}
}

// A process has no descriptor of the client's fifo: it could change whose that is, and a
// security module could take it away. Its children do not keep the client waiting.
func TestProcessesGetPipes(t *testing.T) {
	path := makeFifo(t, "out")
	client, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(t, err)
	defer client.Close()
	st, err := open(t, stdio{stdout: path, stderr: path})
	must(t, err)
	fifo, err := os.Stat(path)
	must(t, err)
	child, err := unix.Dup(int(st.stdout.Fd()))
	must(t, err)
	defer unix.Close(child)
	for _, f := range []*os.File{st.stdout, st.stderr} {
		info, err := f.Stat()
		if err != nil || info.Mode()&os.ModeNamedPipe == 0 || os.SameFile(info, fifo) {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		_, err = f.WriteString("text ")
		must(t, err)
	}
	st.drain()
	st.close()
	if data, err := io.ReadAll(client); err != nil || string(data) != "text text " {
		t.Errorf("%q, %v", data, err)
	}
}

// More than both pipes hold, in small and large pieces, to a client that comes and goes.
func TestMuchOutput(t *testing.T) {
	path := makeFifo(t, "out")
	client, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(t, err)
	st, err := open(t, stdio{stdout: path})
	must(t, err)
	defer st.close()
	var want strings.Builder
	for i := range 20_000 {
		want.WriteString(strings.Repeat(string(rune('a'+i%26)), i%70))
	}
	large := strings.Repeat("0123456789", 200<<10)
	written := make(chan error, 1)
	go func() {
		var err error
		for rest := want.String(); rest != "" && err == nil; {
			n := min(len(rest), 1+len(rest)%300)
			_, err = st.stdout.WriteString(rest[:n])
			rest = rest[n:]
		}
		if err == nil {
			_, err = st.stdout.WriteString(large)
		}
		st.stdout.Close()
		written <- err
	}()
	var got strings.Builder
	for range 3 {
		_, err = io.CopyN(&got, client, 100_000)
		must(t, err)
		client.Close()
		client, err = os.Open(path)
		must(t, err)
	}
	defer client.Close()
	_, err = io.Copy(&got, client)
	if err != nil || got.String() != want.String()+large {
		t.Errorf("%d bytes of %d, %v", got.Len(), want.Len()+len(large), err)
	}
	must(t, <-written)
}

// The end of the output comes also when the client's fifo was full at that moment.
func TestEndOfOutputToAFullFifo(t *testing.T) {
	path := makeFifo(t, "out")
	client, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(t, err)
	st, err := open(t, stdio{stdout: path})
	must(t, err)
	defer st.close()
	const full = 64 << 10 // pipe(7)
	_, err = st.stdout.Write(make([]byte, full))
	must(t, err)
	for deadline := time.Now().Add(patience); hasData(st.outputs[0].pipe); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the fifo does not take it all")
		}
	}
	st.started() // no process has it any more
	time.Sleep(20 * time.Millisecond)
	must(t, client.SetReadDeadline(time.Now().Add(patience/4)))
	if data, err := io.ReadAll(client); err != nil || len(data) != full {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// A path that is no fifo is a file, to whose end the shim writes.
func TestOutputToAPathThatIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	must(t, os.WriteFile(path, []byte("before "), 0o600))
	st, err := open(t, stdio{stdout: path})
	must(t, err)
	defer st.close()
	_, err = st.stdout.WriteString("text")
	must(t, err)
	st.drain()
	if data, err := os.ReadFile(path); err != nil || string(data) != "before text" {
		t.Errorf("%q, %v", data, err)
	}
}

// What is shown on a terminal goes where the output of a process without one goes.
func TestOutputOfTerminals(t *testing.T) {
	dir := t.TempDir()
	logger := filepath.Join(dir, "logger")
	must(t, os.WriteFile(logger, []byte("#!/bin/sh\nexec 5>&-\nexec cat <&3 > "+dir+"/logged\n"), 0o755))
	client := make(chan string, 1)
	path := makeFifo(t, "out")
	go func() {
		data, err := os.ReadFile(path)
		client <- string(data) + fmt.Sprint(err)
	}()
	for stdout, read := range map[string]func() string{
		"":                        func() string { return "text<nil>" },
		path:                      func() string { return <-client },
		"file://" + dir + "/file": func() string { data, err := os.ReadFile(dir + "/file"); return string(data) + fmt.Sprint(err) },
		"binary://" + logger:      func() string { data, err := os.ReadFile(dir + "/logged"); return string(data) + fmt.Sprint(err) },
	} {
		st, err := open(t, stdio{stdout: stdout, terminal: true})
		must(t, err)
		master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
		must(t, err)
		must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
		number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
		must(t, err)
		terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
		must(t, err)
		must(t, st.takeTerminal(master))
		st.started()
		_, err = terminal.WriteString("text")
		must(t, err)
		terminal.Close()
		st.ended()
		st.close()
		if got := read(); got != "text<nil>" {
			t.Errorf("%s: %q", stdout, got)
		}
	}
}

// A logger of binary-v2 that ends without a word is not ready.
func TestLoggerThatIsNotReady(t *testing.T) {
	for scheme, want := range map[string]bool{"binary": true, "binary-v2": false} {
		st, err := open(t, stdio{stdout: scheme + ":///bin/true"})
		if (err == nil) != want {
			t.Errorf("%s: %v", scheme, err)
		}
		if err == nil {
			st.close()
		}
	}
}

// A client hears of the end of an exec's output when the exec is deleted, though a child
// of it runs on.
func TestOutputOfAnExecThatLeavesAChild(t *testing.T) {
	s := newShim(t)
	s.run("box", "sleep 1000", nil)
	path := makeFifo(t, "out")
	client := background(func() error {
		data, err := os.ReadFile(path)
		if string(data) != "text\n" {
			err = fmt.Errorf("%q, %w", data, err)
		}
		return err
	})
	must(t, s.exec("box", "further", []string{"/bin/sh", "-c", "sleep 1000 & echo text"}, func(r *taskapi.ExecProcessRequest) {
		r.Stdout, r.Stderr = path, path
	}))
	s.start("box", "further")
	s.events.exit(t, "further")
	_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box", ExecID: "further"})
	must(t, err)
	must(t, result(t, "reading", client))
}
