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

// events publishes what happens, in the order in which it happened.
type events struct {
	queue chan any
	done  chan struct{}

	mu     sync.RWMutex
	closed bool
}

func publish(ctx context.Context, publisher shim.Publisher) *events {
	e := &events{queue: make(chan any, 128), done: make(chan struct{})}
	go func() {
		defer close(e.done)
		for event := range e.queue {
			// The publisher tries again by itself.
			if err := publisher.Publish(context.WithoutCancel(ctx), topic(event), event); err != nil {
				log.G(ctx).WithError(err).Error("publish an event")
			}
		}
	}()
	return e
}

func (e *events) send(event any) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if !e.closed {
		e.queue <- event
	}
}

// close publishes what is left. What comes later is nobody's business any more.
func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	close(e.queue)
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
