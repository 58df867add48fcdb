package sidecar

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// A diedError says that a worker ended, was ended, or spoke nonsense, in the middle of a call.
type diedError struct{ why string }

func (e *diedError) Error() string { return "the engine's process died: " + e.why }

// A child is one process of a worker. It serves one call at a time.
type child struct {
	name    string
	limits  limits
	process *subprocess.Process
	hello   hello

	messages chan message  // closed when it says no more
	gone     chan struct{} // closed to free the goroutine that reads
	done     chan struct{} // closed when the process and what it started are no more
	readErr  error         // why messages was closed; read it after that
	stopped  sync.Once

	calls int // requests sent, which are numbered
}

// startChild starts a process and waits for its first line.
func startChild(ctx context.Context, cfg subprocess.Config, limits limits) (*child, error) {
	cfg.Env = append(slices.Clone(offline), cfg.Env...)
	process, err := subprocess.Start(cfg)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	c := &child{
		name: cfg.Name, limits: limits, process: process,
		messages: make(chan message), gone: make(chan struct{}), done: make(chan struct{}),
	}
	go c.read()
	if err := c.greet(ctx); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// read passes on what the child says.
func (c *child) read() {
	defer close(c.done)
	lines := bufio.NewReaderSize(c.process.Stdout, 64<<10)
	for c.readErr == nil {
		var m message
		if m, c.readErr = readMessage(lines); c.readErr == nil {
			select {
			case c.messages <- m:
			case <-c.gone:
				c.readErr = errors.New("it was stopped")
			}
		}
	}
	close(c.messages)
	if !errors.Is(c.readErr, io.EOF) {
		c.process.Kill()
	}
	<-c.process.Ended()
}

// greet waits for the line that says what the child is.
func (c *child) greet(ctx context.Context) error {
	limit := time.NewTimer(c.limits.hello)
	defer limit.Stop()
	select {
	case m, ok := <-c.messages:
		if !ok {
			return &diedError{why: c.why()}
		}
		c.hello = m.hello
		return c.recognise(m)
	case <-limit.C:
		return &diedError{why: fmt.Sprintf("it does not start within %s", c.limits.hello)}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *child) recognise(m message) error {
	switch {
	case m.Type != "hello":
		return &diedError{why: "it says " + m.Type + " before hello"}
	case m.Protocol != protocolVersion:
		return &diedError{why: fmt.Sprintf("it speaks version %d of the protocol, not %d", m.Protocol, protocolVersion)}
	case m.Worker != c.name:
		return &diedError{why: fmt.Sprintf("it is %q, not %q", m.Worker, c.name)}
	case len(m.Missing) > 0:
		return fmt.Errorf("%w: the Python of workers.python lacks %s", ErrMissing, strings.Join(m.Missing, ", "))
	}
	return nil
}

// A call is one request and what bounds it.
type call struct {
	method string
	params any
	limit  time.Duration // in all, and after each event of kind done anew
	quiet  time.Duration // without a line; 0 is the worker's stall
	// event is given each event; an error ends the call, and the child.
	event func(kind string, value json.RawMessage) error
}

// work does a job; what its prepare returns takes the place of the call's parameters.
func (c *child) work(ctx context.Context, j job) (json.RawMessage, error) {
	if j.prepare != nil {
		params, err := j.prepare(c.process.Dir)
		if err != nil {
			return nil, err
		}
		j.params = params
	}
	result, err := c.serve(ctx, j.call)
	if err == nil && j.collect != nil {
		j.collect(c.process.Dir)
	}
	return result, err
}

// serve sends a request and waits for its result. When that fails but for a
// [refusal] after which it goes on, the child has been ended.
func (c *child) serve(ctx context.Context, do call) (json.RawMessage, error) {
	c.calls++
	ok, err := c.converse(ctx, do, strconv.Itoa(c.calls))
	var refused *refusal
	if err != nil && (!errors.As(err, &refused) || refused.spent()) {
		c.kill()
	}
	return ok, err
}

// A conversation is what converse keeps: the timers that it listens to.
type conversation struct {
	quiet, limit *time.Timer
	pings        int
	cancelled    error // why the call was cancelled, from then on
}

func (c *child) patience(do call) time.Duration { return cmp.Or(do.quiet, c.limits.stall) }

// converse is the dialogue of one call, under every limit.
func (c *child) converse(ctx context.Context, do call, id string) (json.RawMessage, error) {
	if err := writeRequest(c.process.Stdin, request{Type: "req", ID: id, Method: do.method, Params: do.params}); err != nil {
		return nil, &diedError{why: c.why()}
	}
	talk := conversation{quiet: time.NewTimer(c.patience(do)), limit: time.NewTimer(do.limit)}
	look := time.NewTicker(c.limits.ping)
	defer talk.quiet.Stop()
	defer talk.limit.Stop()
	defer look.Stop()
	cancel := ctx.Done()
	for {
		select {
		case m, ok := <-c.messages:
			if !ok && talk.cancelled != nil {
				return nil, talk.cancelled
			}
			if !ok {
				return nil, &diedError{why: c.why()}
			}
			if result, over, err := c.hear(&talk, do, id, m); over {
				return result, err
			}
		case <-talk.quiet.C:
			if talk.cancelled != nil {
				return nil, talk.cancelled
			}
			return nil, parse.Errorf(parse.Timeout, "the engine made no progress for %s", c.patience(do))
		case <-talk.limit.C:
			return nil, parse.Errorf(parse.Timeout, "the engine took more than %s", do.limit)
		case <-look.C:
			// What it says itself of its memory may come late: a library can keep it from listening.
			if rss := c.process.RSS() >> 20; rss > uint64(c.limits.rssMB) {
				return nil, overweight(rss)
			}
			talk.pings++
			// One that no longer listens has died, or will stall.
			_ = writeRequest(c.process.Stdin, request{Type: "ping", N: talk.pings})
		case <-cancel:
			cancel = nil
			talk.cancelled = ctx.Err()
			talk.quiet.Reset(c.limits.cancel)
			_ = writeRequest(c.process.Stdin, request{Type: "cancel", ID: id})
		}
	}
}

// hear takes in what the child says in a call; over tells that it was the last of it.
func (c *child) hear(talk *conversation, do call, id string, m message) (result json.RawMessage, over bool, err error) {
	if m.Type == "pong" {
		if m.RSSMB > c.limits.rssMB {
			return nil, true, overweight(uint64(m.RSSMB))
		}
		return nil, false, nil
	}
	if m.ID != id {
		return nil, true, &diedError{why: "it answers what was not asked"}
	}
	switch m.Type {
	case "res":
		switch {
		case talk.cancelled != nil:
			// What it told after the cancel was not taken in, so that no result is whole. A refusal stands
			// beside, its own or that of its result: the child lives.
			return nil, true, errors.Join(talk.cancelled, cmp.Or(m.Err, &refusal{Code: codeCancelled}))
		case m.Err == nil:
			return m.OK, true, nil
		}
		return nil, true, m.Err
	case "event":
		if m.Kind == eventDone {
			talk.limit.Reset(do.limit)
		}
		if do.event != nil && talk.cancelled == nil {
			if err := do.event(m.Kind, m.Value); err != nil {
				return nil, true, err
			}
		}
	case "hello":
		return nil, true, &diedError{why: "it says hello twice"}
	}
	if talk.cancelled == nil { // from now on: to take in what it said may have taken long
		talk.quiet.Reset(c.patience(do))
	}
	return nil, false, nil
}

func overweight(mb uint64) error { return &diedError{why: fmt.Sprintf("it takes %d MB of memory", mb)} }

// why is the last word of a child that says no more.
func (c *child) why() string {
	c.kill()
	why := "it ended"
	if c.readErr != nil && !errors.Is(c.readErr, io.EOF) && !errors.Is(c.readErr, os.ErrClosed) {
		why = c.readErr.Error()
	}
	if state := c.process.State(); state != nil && !state.Success() && why == "it ended" {
		why = state.String()
	}
	if last := c.process.LastWords(); last != "" {
		why += ": " + last
	}
	return why
}

func (c *child) ended() <-chan struct{} { return c.done }

// stop lets the child leave, then ends it, and waits.
func (c *child) stop() {
	_ = writeRequest(c.process.Stdin, request{Type: "bye"})
	_ = c.process.Stdin.Close()
	limit := time.NewTimer(c.limits.leave)
	defer limit.Stop()
	for open := true; open; {
		select {
		case _, open = <-c.messages: // what it still says nobody needs
		case <-limit.C:
			open = false
		}
	}
	c.kill()
}

// kill ends the child with all it has started, and waits.
func (c *child) kill() {
	c.stopped.Do(func() {
		close(c.gone)
		c.process.Close()
	})
	<-c.done
}
