package main

import (
	"context"
	"fmt"
	"sync"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/log"
)

// events publishes what happens, in the order in which it happened. Nobody waits for
// that: while containerd is away, the queue grows.
type events struct {
	done chan struct{}

	mu     sync.Mutex
	more   *sync.Cond
	queue  []any
	closed bool
}

func publish(ctx context.Context, publisher shim.Publisher) *events {
	e := &events{done: make(chan struct{})}
	e.more = sync.NewCond(&e.mu)
	go func() {
		defer close(e.done)
		for event := e.next(); event != nil; event = e.next() {
			// The publisher tries again by itself.
			if err := publisher.Publish(context.WithoutCancel(ctx), topic(event), event); err != nil {
				log.G(ctx).WithError(err).Error("publish an event")
			}
		}
	}()
	return e
}

// next waits for an event; nil is the end.
func (e *events) next() any {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queue) == 0 && !e.closed {
		e.more.Wait()
	}
	if len(e.queue) == 0 {
		return nil
	}
	event := e.queue[0]
	e.queue = e.queue[1:]
	return event
}

func (e *events) send(event any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.queue = append(e.queue, event)
		e.more.Signal()
	}
}

// close publishes what is left. What comes later is nobody's business any more.
func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	e.more.Signal()
	e.mu.Unlock()
	<-e.done
}

// news are what is told of a container's first process. What happens while it is
// being started is told after its start: nobody waits for that.
type news struct {
	events *events

	mu      sync.Mutex
	holding bool
	held    []any
}

// hold keeps back what is told from now on.
func (n *news) hold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holding = true
}

// release tells what comes first, and then what was held.
func (n *news) release(first ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, event := range append(first, n.held...) {
		n.events.send(event)
	}
	n.holding, n.held = false, nil
}

func (n *news) tell(event any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.holding {
		n.held = append(n.held, event)
		return
	}
	n.events.send(event)
}

func topic(event any) string {
	switch event.(type) {
	case *eventstypes.TaskCreate:
		return runtime.TaskCreateEventTopic
	case *eventstypes.TaskStart:
		return runtime.TaskStartEventTopic
	case *eventstypes.TaskOOM:
		return runtime.TaskOOMEventTopic
	case *eventstypes.TaskExit:
		return runtime.TaskExitEventTopic
	case *eventstypes.TaskDelete:
		return runtime.TaskDeleteEventTopic
	case *eventstypes.TaskExecAdded:
		return runtime.TaskExecAddedEventTopic
	case *eventstypes.TaskExecStarted:
		return runtime.TaskExecStartedEventTopic
	case *eventstypes.TaskPaused:
		return runtime.TaskPausedEventTopic
	case *eventstypes.TaskResumed:
		return runtime.TaskResumedEventTopic
	}
	panic(fmt.Sprintf("an event of type %T", event))
}
