package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// How long a child has to leave when asked, to do better than a Standby
// answer, and between two looks at its memory.
const (
	leaveTime   = 2 * time.Second
	standbyTime = 15 * time.Second
	rssInterval = 200 * time.Millisecond
)

// A diedError says that a child ended, or spoke nonsense, in the middle of a call.
type diedError struct{ why string }

func (e *diedError) Error() string { return "the document reader died: " + e.why }

// A child is a process that reads documents, one call at a time.
type child struct {
	cfg     Config
	process *subprocess.Process

	answers chan answer   // closed when it says no more
	gone    chan struct{} // closed to free the goroutine that reads
	done    chan struct{} // closed when the process is no more
	readErr error         // why answers was closed; read it after that
	stopped sync.Once

	calls int
	timer *time.Timer // ends it when idle; of the lane
}

// startChild starts a process and waits until it is ready.
func startChild(ctx context.Context, quit <-chan struct{}, cfg Config) (*child, error) {
	process, err := subprocess.Start(subprocess.Config{
		Command: cfg.Command, Env: append([]string{"GOTRACEBACK=none"}, cfg.Env...), Name: "worker",
		Scratch: cfg.Scratch, Offline: true,
	})
	if err != nil {
		return nil, fmt.Errorf("document reader: %w", err)
	}
	c := &child{cfg: cfg, process: process, answers: make(chan answer), gone: make(chan struct{}), done: make(chan struct{})}
	// On Unix a process may live in a directory that is no more: nothing can be
	// written there, and nothing is left when both are killed. Elsewhere this fails.
	_ = os.Remove(process.Dir)
	go c.read()
	if err := c.greet(ctx, quit); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// greet waits for the line that says the child is ready.
func (c *child) greet(ctx context.Context, quit <-chan struct{}) error {
	limit := time.NewTimer(c.cfg.Start)
	defer limit.Stop()
	select {
	case a, ok := <-c.answers:
		if !ok || !a.Ready {
			return fmt.Errorf("document reader: it does not start: %s", c.why())
		}
	case <-limit.C:
		return fmt.Errorf("document reader: it does not start within %s", c.cfg.Start)
	case <-ctx.Done():
		return ctx.Err()
	case <-quit:
		return ErrClosed
	}
	return nil
}

// read passes on what the child says, and waits for its end.
func (c *child) read() {
	defer close(c.done)
	lines := bufio.NewReaderSize(c.process.Stdout, 64<<10)
	for c.readErr == nil {
		var a answer
		if a, c.readErr = readAnswer(lines); c.readErr == nil {
			select {
			case c.answers <- a:
			case <-c.gone:
				c.readErr = errors.New("it was stopped")
			}
		}
	}
	close(c.answers)
	if !errors.Is(c.readErr, io.EOF) {
		c.process.Kill()
	}
	<-c.process.Ended()
}

// call sends a request and waits for its answer. Whatever goes wrong ends the child.
func (c *child) call(ctx context.Context, quit <-chan struct{}, req request, tell parse.Progress) (answer, error) {
	c.calls++
	req.ID = c.calls
	got, err := c.converse(ctx, quit, req, tell)
	if err == nil {
		if err = got.check(req.Op); err != nil {
			err = &diedError{why: "its answer is not valid: " + err.Error()}
		}
	}
	if err != nil {
		c.kill()
		return answer{}, err
	}
	if got.Error != nil {
		return answer{}, got.Error
	}
	return got, nil
}

// converse waits for the final answer to req, under every limit.
func (c *child) converse(ctx context.Context, quit <-chan struct{}, req request, tell parse.Progress) (answer, error) {
	if err := writeLine(c.process.Stdin, req); err != nil {
		return answer{}, &diedError{why: err.Error()}
	}
	quiet, limit, look := time.NewTimer(c.cfg.Stall), time.NewTimer(c.cfg.Limit), time.NewTicker(rssInterval)
	defer quiet.Stop()
	defer limit.Stop()
	defer look.Stop()
	var standby *parse.Error
	instead := func(err error) (answer, error) {
		if standby != nil {
			err = standby
		}
		return answer{}, err
	}
	for {
		select {
		case a, ok := <-c.answers:
			switch {
			case !ok:
				return instead(&diedError{why: c.why()})
			case a.ID != req.ID:
				return answer{}, &diedError{why: "it answers what was not asked"}
			case a.Waiting:
				quiet.Reset(c.cfg.Stall)
			case a.Standby != nil && slices.Contains(codes, a.Standby.Code):
				standby = a.Standby
				quiet.Reset(min(standbyTime, c.cfg.Stall))
			case a.Progress != nil:
				if tell != nil {
					tell(a.Progress.Done, a.Progress.Total, a.Progress.Unit)
				}
				quiet.Reset(c.cfg.Stall)
			default:
				return a, nil
			}
		case <-quiet.C:
			return instead(parse.Errorf(parse.Timeout, "reading it made no progress for %s", c.cfg.Stall))
		case <-limit.C:
			return instead(parse.Errorf(parse.Timeout, "reading it took more than %s", c.cfg.Limit))
		case <-look.C:
			if c.process.RSS() > c.cfg.MaxRSS {
				return instead(parse.Errorf(parse.Bomb, "reading it takes more than %d MiB of memory", c.cfg.MaxRSS>>20))
			}
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-quit:
			return answer{}, ErrClosed
		}
	}
}

// why is the last word of a child that says no more.
func (c *child) why() string {
	c.kill()
	if last := c.process.LastWords(); last != "" {
		return last
	}
	return c.readErr.Error()
}

// worn reports whether the child has to be replaced after a call.
func (c *child) worn() bool {
	return !c.alive() || c.calls >= c.cfg.MaxCalls || c.process.RSS() > c.cfg.MaxRSS*2/5
}

func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// stop lets the child leave, then ends it, and waits.
func (c *child) stop() {
	_ = c.process.Stdin.Close()
	limit := time.NewTimer(leaveTime)
	defer limit.Stop()
	select {
	case <-c.done:
	case <-limit.C:
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
