package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/acervo-kb/acervo/ingest/parse"
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
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	stderr  *lastLine
	dir     string // its working directory, empty and where possible gone
	process *process.Process

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
	dir, err := os.MkdirTemp("", "acervo-worker-")
	if err != nil {
		return nil, fmt.Errorf("directory of a document reader: %w", err)
	}
	c := &child{
		cfg: cfg, dir: dir, cmd: exec.Command(cfg.Command[0], cfg.Command[1:]...), stderr: &lastLine{},
		answers: make(chan answer), gone: make(chan struct{}), done: make(chan struct{}),
	}
	c.cmd.Dir, c.cmd.Env, c.cmd.Stderr = dir, environment(dir, cfg.Env), c.stderr
	// What holds its stderr open after its end must not hold Wait.
	c.cmd.WaitDelay = leaveTime
	c.cmd.SysProcAttr = processAttributes()
	stdout, err := c.pipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("document reader: %w", err), os.RemoveAll(dir))
	}
	// On Unix a process may live in a directory that is no more: nothing can be
	// written there, and nothing is left when both are killed. Elsewhere this fails.
	_ = os.Remove(dir)
	go c.read(stdout)
	if err := c.greet(ctx, quit); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

func (c *child) pipe() (io.Reader, error) {
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return c.cmd.StdoutPipe()
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
	var err error
	if c.process, err = process.NewProcessWithContext(ctx, int32(c.cmd.Process.Pid)); err != nil {
		return fmt.Errorf("document reader: %w", err)
	}
	return nil
}

// read passes on what the child says, and waits for its end.
func (c *child) read(stdout io.Reader) {
	defer close(c.done)
	lines := bufio.NewReaderSize(stdout, 64<<10)
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
		killGroup(c.cmd.Process)
	}
	_ = c.cmd.Wait() // how it ended does not matter: its answers are complete or it died
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
	if err := writeLine(c.stdin, req); err != nil {
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
			if c.rss(ctx) > c.cfg.MaxRSS {
				return instead(parse.Errorf(parse.Bomb, "reading it takes more than %d MiB of memory", c.cfg.MaxRSS>>20))
			}
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-quit:
			return answer{}, ErrClosed
		}
	}
}

// rss is how much memory the child holds, 0 where that cannot be told.
func (c *child) rss(ctx context.Context) uint64 {
	memory, err := c.process.MemoryInfoWithContext(ctx)
	if err != nil {
		return 0
	}
	return memory.RSS
}

// why is the last word of a child that says no more.
func (c *child) why() string {
	c.kill()
	if last := c.stderr.String(); last != "" {
		return last
	}
	return c.readErr.Error()
}

// worn reports whether the child has to be replaced after a call.
func (c *child) worn(ctx context.Context) bool {
	return !c.alive() || c.calls >= c.cfg.MaxCalls || c.rss(ctx) > c.cfg.MaxRSS*2/5
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
	_ = c.stdin.Close()
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
		_ = c.stdin.Close()
		if c.alive() {
			killGroup(c.cmd.Process)
		}
		<-c.done
		_ = os.RemoveAll(c.dir)
	})
}

// inherited are the variables that a child may see: no keys, no proxies.
var inherited = []string{"PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "WINDIR", "LANG", "LC_ALL", "TZ"}

// environment is what the child sees; the place of temporary files is dir, so that it has none.
func environment(dir string, more []string) []string {
	env := []string{"TMPDIR=" + dir, "TMP=" + dir, "TEMP=" + dir, "GOTRACEBACK=none"}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains(inherited, strings.ToUpper(name)) {
			env = append(env, pair)
		}
	}
	return append(env, more...)
}

// lastLine keeps the last line written to it that is not empty, cut to 1 KiB.
type lastLine struct {
	mu         sync.Mutex
	line, last []byte
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range p {
		switch {
		case b == '\n' && len(l.line) > 0:
			l.last, l.line = l.line, nil
		case b != '\n' && len(l.line) < 1<<10:
			l.line = append(l.line, b)
		}
	}
	return len(p), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 {
		return strings.ToValidUTF8(string(l.line), "?")
	}
	return strings.ToValidUTF8(string(l.last), "?")
}
