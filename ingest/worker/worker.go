// Package worker reads documents in processes of their own. Documents are
// hostile, and no recover stops an endless loop, a stack overflow or a memory
// bomb; the end of a process does.
//
// A [Pool], in the server, starts the program again as a hidden command, and
// [Serve] is that command. They speak JSON lines over its standard input and
// output, one call at a time. What a child says is checked as untrusted.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// ErrClosed is what calls of a closed [Pool] return, and those that its closing ends.
var ErrClosed = errors.New("the document readers are stopped")

// Config says how to run the children of a [Pool]. Zero fields mean the defaults.
type Config struct {
	Command []string // argv of a child that calls [Serve]; this program with "worker"
	Env     []string // added to the child's few inherited variables, as "KEY=value"
	Scratch string   // where the children's directories are made; the system's temporary directory
	Size    int      // documents parsed at a time; 2. As many more may run that have outlasted Patience

	Start    time.Duration // for a child to come up; 60 s
	Stall    time.Duration // without progress until a child is ended; 45 s
	Limit    time.Duration // for one call in all; 10 min
	Patience time.Duration // until a call lets another pass it; 5 s
	Idle     time.Duration // until an unused child is ended; 2 min
	MaxRSS   uint64        // bytes of memory beyond which a child is ended; 1 GiB
	MaxCalls int           // until a child is replaced; 200

	Log *slog.Logger // slog.Default()
}

// A Pool starts children on demand, and satisfies ingest.Reader. It is safe
// for concurrent use: calls wait for their turn.
type Pool struct {
	cfg    Config
	parses *lane
	pages  *lane // apart, so that a reader's page never waits for a long document

	mu     sync.Mutex
	closed bool
	quit   chan struct{}
	calls  sync.WaitGroup
}

// New returns a pool that has not started anything yet.
func New(cfg Config) *Pool {
	if len(cfg.Command) == 0 {
		self, err := os.Executable()
		if err != nil {
			self = os.Args[0]
		}
		cfg.Command = []string{self, "worker"}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	orDefault(&cfg.Size, 2)
	orDefault(&cfg.MaxCalls, 200)
	orDefault(&cfg.Start, time.Minute)
	orDefault(&cfg.Stall, 45*time.Second)
	orDefault(&cfg.Limit, 10*time.Minute)
	orDefault(&cfg.Patience, 5*time.Second)
	orDefault(&cfg.Idle, 2*time.Minute)
	orDefault(&cfg.MaxRSS, 1<<30)
	return &Pool{cfg: cfg, parses: newLane(cfg.Size), pages: newLane(1), quit: make(chan struct{})}
}

func orDefault[T int | uint64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Parse reads the file at path (slash-separated) below root.
func (p *Pool) Parse(ctx context.Context, root, path string, progress parse.Progress) (parse.Content, error) {
	answer, err := p.call(ctx, p.parses, request{Op: opParse, Root: root, Path: path}, progress)
	if err != nil {
		return parse.Content{}, err
	}
	return answer.Content.Content, nil
}

// Page draws page n, from 1, of the PDF document or image at path as a PNG.
func (p *Pool) Page(ctx context.Context, root, path string, n int) ([]byte, error) {
	answer, err := p.call(ctx, p.pages, request{Op: opPage, Root: root, Path: path, Page: n}, nil)
	if err != nil {
		return nil, err
	}
	return answer.PNG, nil
}

// Scan draws page n, from 1, of the PDF document or image at path for OCR: a
// PNG, where the document has a size on paper at dpi. It takes turns with Parse,
// so that a reader's page does not wait for it.
func (p *Pool) Scan(ctx context.Context, root, path string, n, dpi int) ([]byte, error) {
	answer, err := p.call(ctx, p.parses, request{Op: opScan, Root: root, Path: path, Page: n, DPI: dpi}, nil)
	if err != nil {
		return nil, err
	}
	return answer.PNG, nil
}

// Close ends the calls in hand and every child, and waits for both.
func (p *Pool) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.quit)
	}
	p.mu.Unlock()
	p.calls.Wait()
	p.parses.stop()
	p.pages.stop()
	return nil
}

// begin counts a call in, unless the pool is closed.
func (p *Pool) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.calls.Add(1)
	return nil
}

// call asks a child of a lane. A child that dies gets one successor.
func (p *Pool) call(ctx context.Context, l *lane, req request, progress parse.Progress) (answer, error) {
	if err := p.begin(); err != nil {
		return answer{}, err
	}
	defer p.calls.Done()
	root, err := filepath.Abs(req.Root)
	if err != nil {
		return answer{}, fmt.Errorf("folder of documents: %w", err)
	}
	req.Root = root
	leave, err := l.enter(ctx, p.quit, p.cfg.Patience)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	for attempt := 1; ; attempt++ {
		// What died may have died of the document before: the second try has a fresh child.
		got, err := p.try(ctx, l, attempt > 1, req, progress)
		var died *diedError
		if !errors.As(err, &died) {
			return got, err
		}
		p.cfg.Log.Warn("a document reader died", "path", req.Path, "attempt", attempt, "why", died.why)
		if attempt == 2 {
			return answer{}, parse.Errorf(parse.Crashed, "reading it ended the reader, twice")
		}
	}
}

func (p *Pool) try(ctx context.Context, l *lane, fresh bool, req request, progress parse.Progress) (answer, error) {
	var c *child
	if !fresh {
		c = l.take()
	}
	if c == nil {
		var err error
		if c, err = startChild(ctx, p.quit, p.cfg); err != nil {
			return answer{}, err
		}
	}
	got, err := c.call(ctx, p.quit, req, progress)
	if c.worn() {
		c.stop()
	} else {
		l.give(c, p.cfg.Idle)
	}
	return got, err
}

// A lane lets so many calls pass at a time and keeps their children. A call that
// takes long moves over, if there is room, so that a few documents that hang do not hold up all others.
type lane struct {
	turns chan struct{}
	slow  chan struct{} // where long calls wait for their end
	mu    sync.Mutex
	idle  []*child // the one used last is the last
}

func newLane(size int) *lane {
	return &lane{turns: make(chan struct{}, size), slow: make(chan struct{}, size)}
}

// enter waits for a turn, which leave ends.
func (l *lane) enter(ctx context.Context, quit <-chan struct{}, patience time.Duration) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case l.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-quit:
		return nil, ErrClosed
	}
	var mu sync.Mutex
	held := l.turns // nil once the turn is over
	timer := time.AfterFunc(patience, func() {
		mu.Lock()
		defer mu.Unlock()
		if held == nil {
			return
		}
		select {
		case l.slow <- struct{}{}:
			<-held
			held = l.slow
		default: // as many are slow as may be
		}
	})
	return func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		<-held
		held = nil
	}, nil
}

// take returns a child that lives, or nil.
func (l *lane) take() *child {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.idle) > 0 {
		c := l.idle[len(l.idle)-1]
		l.idle = l.idle[:len(l.idle)-1]
		if c.timer.Stop() && c.alive() {
			return c
		}
		c.stop()
	}
	return nil
}

// give keeps a child for the next call, for at most the idle time.
func (l *lane) give(c *child, idle time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.timer = time.AfterFunc(idle, c.stop)
	l.idle = append(l.idle, c)
}

func (l *lane) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.idle {
		c.timer.Stop()
		c.stop()
	}
	l.idle = nil
}
