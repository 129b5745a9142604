package birth

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
)

// server serves the requests of one program.
type server interface {
	serve(r *request) (answer, error)
	// ended is called when the conversation has ended, and returns what that means.
	ended(err error) error
}

// request is one with the file that came with it, or nil.
type request struct {
	compile.Request
	file *os.File
}

// take passes the file to the code that serves the request.
func (r *request) take() *os.File {
	f := r.file
	r.file = nil
	return f
}

// unexpected is the error for a request that this program may not send.
func unexpected(r *request) error {
	return fmt.Errorf("unexpected request %T from the init program", r.Request)
}

// answer tells the program that its request was served.
type answer uint8

const (
	goOn  answer = iota // by one byte
	given               // it was answered already, or expects nothing
	over                // nothing is left to talk about
)

// serve answers a program's requests until the conversation ends.
func serve(c *launch.Conversation, s server) error {
	for {
		message, file, err := c.Receive()
		if err != nil {
			return s.ended(err)
		}
		asked, err := compile.Decode(message)
		r, answer := &request{asked, file}, given
		if err == nil {
			answer, err = s.serve(r)
		}
		closeFiles([]*os.File{r.file})
		switch {
		case err == nil && answer == over:
			return nil
		case err == nil && answer == goOn:
			err = c.Reply()
		}
		if err != nil && !errors.Is(err, launch.ErrGone) { // otherwise Receive reports it
			return cmp.Or(failed(c, s), err)
		}
	}
}

// failed returns the failure that a program has reported and not waited for an answer. A
// request of a program that has ended fails for reasons that only confuse.
func failed(c *launch.Conversation, s server) error {
	for c.Waiting() {
		message, file, err := c.Receive()
		if err != nil {
			return nil
		}
		closeFiles([]*os.File{file})
		if asked, err := compile.Decode(message); err == nil {
			if f, ok := asked.(compile.RequestFailure); ok {
				_, err = s.serve(&request{f, nil})
				return err
			}
		}
	}
	return nil
}
