package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// A workerConfig says what a worker is.
type workerConfig struct {
	name    string                          // as its hello must say
	command func() ([]string, error)        // looked up at each start
	scratch string                          // where its directories are made
	env     func(hwplan.Placement) []string // may be nil
	// load returns the parameters of its load, for what it has said that it is.
	load func(hwplan.Placement, hello) any
	// fellBack is told that a device could not be computed on, and why; may be nil.
	fellBack func(device, why string)
	limits   limits
	lease    *lease
	log      *slog.Logger
	// launch starts the process where that is no [child]; when it fails, nothing is left of it.
	launch func(ctx context.Context, command []string, p hwplan.Placement) (process, loaded, error)
}

// A process is what a worker keeps: a [child], which speaks the protocol, or a server.
type process interface {
	// work does a job. Where it fails for more than a [refusal] the process has ended, or ends.
	work(ctx context.Context, j job) (json.RawMessage, error)
	ended() <-chan struct{} // closed when it and what it started are no more
	stop()                  // lets it leave, ends it if it does not, and waits
}

func alive(p process) bool {
	select {
	case <-p.ended():
		return false
	default:
		return true
	}
}

// A worker keeps one child process at a time, from its first call until it has
// nothing to do, its memory is wanted, it has died, or it is worn. All of its methods may be called at once.
type worker struct {
	cfg    workerConfig
	turn   chan struct{} // holds a token while a call or an end of the child is under way
	quit   chan struct{} // closed by close
	closed sync.Once
	beside sync.WaitGroup // the goroutines that wait beside a call, or beside an idle child

	// What follows belongs to who holds the turn.
	child  process
	loan   loan
	loaded loaded
	units  int           // pages or recordings that the child was given
	leave  chan struct{} // closed when the idle child gets work again
	deaths []time.Time   // since its last success
	last   string        // why it died last
	lacks  error         // what it lacked when it was started last
	looked time.Time     // and when that was
}

// loaded is what a worker says of the model that it has loaded.
type loaded struct {
	Engine  string `json:"engine"`
	Device  string `json:"device"`
	Compute string `json:"compute"`
	// FallbackFrom is the device that was asked for and does not serve, for this Reason.
	FallbackFrom string `json:"fallback_from"`
	Reason       string `json:"reason"`
}

// name is the engine's with where and how it computes.
func (l loaded) name() string {
	return strings.Join(strings.Fields(l.Engine+" "+l.Device+" "+l.Compute), " ")
}

func newWorker(cfg workerConfig) *worker {
	return &worker{cfg: cfg, turn: make(chan struct{}, 1), quit: make(chan struct{})}
}

// lookAgain is after how long a worker that lacked something is tried anew: not at each page.
const lookAgain = time.Minute

// A job is what a worker is asked to do.
type job struct {
	call
	// prepare may be nil. It is given the child's own directory and returns the parameters in the place of the call's.
	prepare func(dir string) (any, error)
	// collect may be nil. It is given that directory when the job is done, before the child may end.
	collect func(dir string)
}

// errYield ends a call at a safe point because the memory is wanted. Whoever made it calls again.
var errYield = errors.New("its memory is wanted")

// do runs a job on the child, which it starts where there is none.
func (w *worker) do(ctx context.Context, j job) (json.RawMessage, loaded, error) {
	if err := w.enter(ctx); err != nil {
		return nil, loaded{}, err
	}
	defer w.exit()
	if w.leave != nil {
		close(w.leave)
		w.leave = nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.beside.Go(func() {
		select {
		case <-w.quit:
			cancel()
		case <-ctx.Done():
		}
	})
	ok, engine, err := w.work(ctx, j)
	if err != nil && w.isClosed() {
		err = ErrClosed
	}
	return ok, engine, err
}

func (w *worker) work(ctx context.Context, j job) (json.RawMessage, loaded, error) {
	if err := w.ready(ctx); err != nil {
		return nil, loaded{}, err
	}
	w.units++
	ok, err := w.child.work(ctx, j)
	engine := w.loaded
	w.settle(err)
	return ok, engine, err
}

// enter waits for the worker's turn.
func (w *worker) enter(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return ErrClosed
	}
	if w.isClosed() {
		w.exit()
		return ErrClosed
	}
	return nil
}

func (w *worker) exit() { <-w.turn }

func (w *worker) isClosed() bool {
	select {
	case <-w.quit:
		return true
	default:
		return false
	}
}

// asked reports whether the memory is wanted; for a job's events.
func (w *worker) asked() bool { return w.loan.asked() }

// settle does after a call what its outcome asks for: the child stays for the next one, or ends.
func (w *worker) settle(err error) {
	var refused *refusal
	if err == nil || errors.As(err, &refused) && !refused.spent() {
		w.deaths, w.last = nil, ""
	}
	switch {
	case !alive(w.child):
		w.died(err)
		w.drop()
	case w.asked() || w.units >= w.cfg.limits.units:
		w.drop()
	default:
		child, leave, wanted := w.child, make(chan struct{}), w.loan.wanted
		w.leave = leave
		w.beside.Go(func() { w.attend(child, leave, wanted) })
	}
}

// died counts a death, unless it was this program that wanted it.
func (w *worker) died(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errYield) || errors.Is(err, ErrMissing) ||
		errors.Is(err, errNotLent) || errors.Is(err, hwplan.ErrWontFit) {
		return
	}
	npu, on := string(hwplan.OnNPU), w.loaded.Device
	if w.cfg.fellBack != nil && (on == npu || on == "" && w.loan.placement.Device == hwplan.OnNPU) { // at work, or while it loads
		w.cfg.fellBack(npu, err.Error())
	}
	w.deaths, w.last = append(w.deaths, time.Now()), err.Error()
	w.cfg.log.Warn("an engine's process died", "engine", w.cfg.name, "err", err, "deaths", len(w.deaths))
}

// drop ends the child and gives its memory back, in this order.
func (w *worker) drop() {
	if w.child != nil {
		w.child.stop()
		w.child = nil
	}
	w.loan.end()
	w.loan = loan{}
}

// attend ends a child that has no work: when it stays so, when its memory is wanted, or when it dies.
func (w *worker) attend(c process, leave <-chan struct{}, wanted <-chan struct{}) {
	limit := time.NewTimer(w.cfg.limits.idle)
	defer limit.Stop()
	select {
	case <-leave:
		return
	case <-w.quit:
		return // close does the rest
	case <-limit.C:
	case <-wanted:
	case <-c.ended():
	}
	select {
	case w.turn <- struct{}{}:
		defer w.exit()
		if w.child == c && w.leave == leave {
			w.leave = nil
			w.drop()
		}
	case <-leave:
	case <-w.quit:
	}
}

// ready sees to it that there is a child with its model loaded.
func (w *worker) ready(ctx context.Context) error {
	if w.child != nil && (!alive(w.child) || w.asked()) {
		w.drop()
	}
	if w.child != nil {
		return nil
	}
	if w.lacks != nil && time.Since(w.looked) < lookAgain {
		return w.lacks
	}
	if err := w.rest(ctx); err != nil {
		return err
	}
	err := w.start(ctx)
	w.lacks, w.looked = nil, time.Now()
	if errors.Is(err, ErrMissing) {
		w.lacks = err
	}
	if err != nil {
		w.died(err)
		w.drop()
	}
	return unstarted(err)
}

// unstarted is the error of a start that failed for the engine's own reasons. It wraps
// none of those: a [parse.Error] would blame the page or recording that waits.
func unstarted(err error) error {
	var died *diedError
	var refused *refusal
	var late *parse.Error
	if errors.As(err, &died) || errors.As(err, &refused) || errors.As(err, &late) {
		return fmt.Errorf("%w: %s", ErrUnavailable, err.Error())
	}
	return err
}

// rest keeps a worker that dies from being started all the time.
func (w *worker) rest(ctx context.Context) error {
	n := len(w.deaths)
	if n == 0 {
		return nil
	}
	since := time.Since(w.deaths[n-1])
	if n >= w.cfg.limits.deaths {
		if since < w.cfg.limits.rest {
			return fmt.Errorf("%w: %s", ErrUnavailable, w.last)
		}
		w.deaths = w.deaths[:0]
		return nil
	}
	pause := min(w.cfg.limits.pause<<(n-1), maxPause) - since
	if pause <= 0 {
		return nil
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return ErrClosed
	}
}

// start takes the memory and starts a child. The memory is given back by ready when that fails.
func (w *worker) start(ctx context.Context) error {
	command, err := w.cfg.command()
	if err != nil {
		return err
	}
	if w.loan, err = w.cfg.lease.take(ctx); err != nil {
		return err
	}
	w.loaded = loaded{}
	launch := w.cfg.launch
	if launch == nil {
		launch = w.launch
	}
	p, engine, err := launch(ctx, command, w.loan.placement)
	if err != nil {
		return err
	}
	w.child, w.loaded, w.units = p, engine, 0
	w.cfg.log.Info("engine started", "engine", engine.Engine, "device", engine.Device, "compute", engine.Compute)
	w.noteFallback(engine)
	return nil
}

// noteFallback says that a device did not serve.
func (w *worker) noteFallback(now loaded) {
	if now.FallbackFrom == "" {
		return
	}
	w.cfg.log.Warn("an engine computes on another device", "engine", w.loaded.Engine, "from", now.FallbackFrom, "to", now.Device, "why", now.Reason)
	if w.cfg.fellBack != nil {
		w.cfg.fellBack(now.FallbackFrom, now.Reason)
	}
}

// launch starts a child and has it load its model.
func (w *worker) launch(ctx context.Context, command []string, p hwplan.Placement) (process, loaded, error) {
	cfg := subprocess.Config{Command: command, Name: w.cfg.name, Scratch: w.cfg.scratch}
	if p.Device == "" || p.Device == hwplan.OnCPU {
		// The drivers of others map far more than they use, and were not tried without a network.
		cfg.Memory, cfg.Offline = uint64(w.cfg.limits.addressMB)<<20, true
	}
	if w.cfg.env != nil {
		cfg.Env = w.cfg.env(p)
	}
	c, err := startChild(ctx, cfg, w.cfg.limits)
	if err != nil {
		return nil, loaded{}, err
	}
	limit := w.cfg.limits.load
	if p.Device == hwplan.OnNPU {
		limit = npuLoad
	}
	engine, err := loadModel(ctx, c, call{method: "load", params: w.cfg.load(p, c.hello), limit: limit, quiet: limit})
	if err != nil {
		c.stop()
		return nil, loaded{}, err
	}
	return c, engine, nil
}

func loadModel(ctx context.Context, c *child, do call) (loaded, error) {
	ok, err := c.serve(ctx, do)
	var refused *refusal
	if errors.As(err, &refused) && refused.Code == codeModelMissing {
		return loaded{}, fmt.Errorf("%w: the model: %s", ErrMissing, refused.Message)
	}
	if err != nil {
		return loaded{}, err
	}
	var engine loaded
	if err := json.Unmarshal(ok, &engine); err != nil {
		return loaded{}, &diedError{why: "what it says of its model is not valid: " + err.Error()}
	}
	return engine, nil
}

// close ends the call in hand and the child, and waits for both.
func (w *worker) close() {
	w.closed.Do(func() {
		close(w.quit)
		w.turn <- struct{}{}
		w.drop()
		<-w.turn
	})
	w.beside.Wait()
}
