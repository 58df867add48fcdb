package ollama

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/acervo-kb/acervo/hwplan"
)

const (
	// quiet is how long nobody must have used a model before it makes room for work that is in no hurry.
	quiet = 30 * time.Second
	// lookAgain is how often a model whose memory is wanted is looked at, to see whether it can go.
	lookAgain = 100 * time.Millisecond
	// freeTime bounds an unload, with the wait for the memory to be free; Ollama itself waits 5 s for that.
	freeTime = 10 * time.Second
	// lastWord bounds the call that lets a model go when the program ends.
	lastWord = 2 * time.Second
)

// A tenant keeps one model in its server's memory for as long as it holds the
// memory's grant, loaded as the plan says. Without a keeper the server decides.
type tenant struct {
	client
	keeper *hwplan.Keeper
	role   hwplan.Role
	first  *tenant // is loaded before, so that the server does not unload it for this one
	// load loads the planned model as planned, if it is not loaded so, and has the server keep it.
	// Told is how long the server says that took, where it does.
	load func(ctx context.Context, p hwplan.Placement, keep *api.Duration) (told time.Duration, err error)

	moving chan struct{} // holds a token while the model is loaded or unloaded
	news   chan struct{} // has a token when there is a new grant

	mu    sync.Mutex
	grant *hwplan.Grant
	users int
	used  time.Time
	took  time.Duration // the last load; 0: not known
}

func newTenant(c client, keeper *hwplan.Keeper, role hwplan.Role) *tenant {
	return &tenant{client: c, keeper: keeper, role: role, moving: make(chan struct{}, 1), news: make(chan struct{}, 1)}
}

// unplanned leaves all choices to the server.
var unplanned = hwplan.Placement{NumGPU: -1}

// A stay is one use of the model.
type stay struct {
	hwplan.Placement
	loaded bool // for this use
	joined bool // it was taken to be loaded: its grant is held
	end    func()
}

// use has the model loaded and keeps it so until the stay ends.
func (t *tenant) use(ctx context.Context) (stay, error) {
	if t.keeper == nil {
		return stay{Placement: unplanned, end: func() {}}, nil
	}
	select {
	case t.moving <- struct{}{}:
		defer func() { <-t.moving }()
	case <-ctx.Done():
		return stay{}, ctx.Err()
	}
	if p, ok := t.join(); ok {
		return stay{Placement: p, joined: true, end: t.done}, nil
	}
	t.vacate(ctx)
	s, err := t.moveIn(ctx)
	if errors.Is(err, hwplan.ErrNoRole) || errors.Is(err, hwplan.ErrWontFit) {
		return stay{Placement: unplanned, end: func() {}}, nil
	}
	return s, err
}

// join counts a user in, unless the model is not loaded, or is to be loaded anew and nobody uses it.
func (t *tenant) join() (hwplan.Placement, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.grant == nil || t.users == 0 && t.grant.Moves() {
		return hwplan.Placement{}, false
	}
	t.users++
	return t.grant.Placement(), true
}

func (t *tenant) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users--
	t.used = time.Now()
}

// moveIn gets a grant, loads the model and counts its first user in. After a load that failed for want of memory it
// tries again as the next plan says.
func (t *tenant) moveIn(ctx context.Context) (stay, error) {
	for {
		if t.first != nil { // at each try: an Ollama that runs out of memory unloads all its models
			t.first.warm(ctx)
		}
		planner, err := t.keeper.Planner(ctx)
		if err != nil {
			return stay{}, err
		}
		grant, err := planner.Grant(ctx, t.role)
		if err != nil {
			return stay{}, err
		}
		p := grant.Placement()
		loaded, again, err := t.loadAs(ctx, p)
		if err == nil && !again {
			t.settle(grant)
			return stay{Placement: p, loaded: loaded, end: t.done}, nil
		}
		if again || ctx.Err() != nil { // a load that is broken off may hold memory for a while
			t.unload(ctx, p)
		}
		grant.Release()
		if !again {
			return stay{}, err
		}
	}
}

// settle keeps the grant of a model that is loaded and has one user more: who used it when it left, at the end, may do so still.
func (t *tenant) settle(grant *hwplan.Grant) {
	t.mu.Lock()
	t.grant = grant
	t.users++
	t.mu.Unlock()
	select {
	case t.news <- struct{}{}:
	default: // run has not looked since the last
	}
}

// loadAs loads the model as p says; again asks for another try with the next plan.
func (t *tenant) loadAs(ctx context.Context, p hwplan.Placement) (loaded, again bool, err error) {
	before := t.keeper.FreeVRAM(ctx)
	start := time.Now()
	told, err := t.load(ctx, p, forever())
	if err != nil {
		return false, ctx.Err() == nil && t.keeper.RanOut(ctx, t.role, p, err, before), err
	}
	took := cmp.Or(told, time.Since(start))
	if took < loadTime { // it was in memory, loaded so
		return false, !t.keeper.Loaded(ctx, t.role, p, 0, before), nil
	}
	t.mu.Lock()
	t.took = took
	t.mu.Unlock()
	return true, !t.keeper.Loaded(ctx, t.role, p, took, before), nil
}

// warm loads the model if it is not loaded, be it that its server dropped it. What is wrong with it shows where it is used.
func (t *tenant) warm(ctx context.Context) {
	s, err := t.use(ctx)
	if err != nil {
		return
	}
	defer s.end()
	if s.joined {
		told, _ := t.load(ctx, s.Placement, forever())
		t.loadedAgain(told)
	}
}

// vacate unloads the model and gives its memory back. The caller holds moving.
func (t *tenant) vacate(ctx context.Context) {
	t.mu.Lock()
	grant := t.grant
	t.mu.Unlock()
	if grant != nil {
		t.unload(ctx, grant.Placement())
		t.release()
	}
}

func (t *tenant) release() {
	t.mu.Lock()
	grant := t.grant
	t.grant = nil
	t.mu.Unlock()
	if grant != nil {
		grant.Release()
	}
}

// unload returns when the model's memory is free, or when that takes so long that the next load will show what is
// wrong: a server that does not answer must not hold up who waits. It is not broken off, for the memory is given back next.
func (t *tenant) unload(ctx context.Context, p hwplan.Placement) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeTime)
	defer cancel()
	vram, _ := t.isLoaded(ctx, p)
	before := t.keeper.FreeVRAM(ctx)
	// An empty request that keeps the model for no time unloads it, of either kind. A server that is gone holds nothing.
	_ = t.api.Generate(ctx, &api.GenerateRequest{Model: t.named(p), KeepAlive: &api.Duration{}}, func(api.GenerateResponse) error { return nil })
	for ctx.Err() == nil {
		// Where no card is read, or it is lost, there is nothing to wait for.
		if _, loaded := t.isLoaded(ctx, p); !loaded && (vram == 0 || before < 0 || t.keeper.FreeVRAM(ctx) >= before+vram*9/10) {
			return
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
		}
	}
}

// isLoaded reports whether the model is in its server's memory, and how many bytes of it are on a GPU.
func (t *tenant) isLoaded(ctx context.Context, p hwplan.Placement) (vram int64, loaded bool) {
	list, err := t.api.ListRunning(ctx)
	if err != nil {
		return 0, false
	}
	for _, m := range list.Models {
		if tagged(m.Name) == tagged(t.named(p)) {
			return m.SizeVRAM, true
		}
	}
	return 0, false
}

// run gives the model's memory back when others need it, until ctx ends; then it
// lets the server unload the model after its usual time.
func (t *tenant) run(ctx context.Context) error {
	for ctx.Err() == nil {
		t.mu.Lock()
		var wanted <-chan struct{}
		if t.grant != nil {
			wanted = t.grant.Wanted()
		}
		t.mu.Unlock()
		select {
		case <-wanted:
			t.yield(ctx)
		case <-t.news:
		case <-ctx.Done():
		}
	}
	t.leave(ctx)
	return ctx.Err()
}

// yield unloads the model as soon as it can go.
func (t *tenant) yield(ctx context.Context) {
	for !t.mayGo() {
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return
		}
	}
	select {
	case t.moving <- struct{}{}:
		defer func() { <-t.moving }()
	case <-ctx.Done():
		return
	}
	if t.mayGo() {
		t.vacate(ctx)
	}
}

// mayGo reports whether nobody uses the model, and for long enough where only batch work wants its memory.
func (t *tenant) mayGo() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.grant == nil || t.users == 0 && (t.grant.Moves() || time.Since(t.used) >= quiet)
}

// leave ends the stay in the server's memory, but not at once: the program may be started again.
func (t *tenant) leave(ctx context.Context) {
	const usual = 5 * time.Minute // as long as Ollama keeps a model of which nobody says how long
	t.mu.Lock()
	grant := t.grant
	t.mu.Unlock()
	if grant == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if _, loaded := t.isLoaded(ctx, grant.Placement()); loaded { // else it would be loaded only to be let go
		_, _ = t.load(ctx, grant.Placement(), &api.Duration{Duration: usual}) // an Ollama that is gone holds nothing
	}
	t.release()
}

// planned is the model's placement in the plan in force, if there is a plan and it has one.
func (t *tenant) planned() (hwplan.Placement, bool) {
	if t.keeper == nil {
		return hwplan.Placement{}, false
	}
	p, ok := t.keeper.Placement(t.role)
	return p, ok && p.NumCtx > 0
}

// loadedAgain notes a load that a call brought about, which a plan does not let happen, and reports whether there was one.
func (t *tenant) loadedAgain(took time.Duration) bool {
	t.mu.Lock()
	usual := t.took
	t.mu.Unlock()
	if took <= max(loadTime, usual/2) { // a busy machine delays all things alike
		return false
	}
	if p, ok := t.planned(); ok {
		t.keeper.Evicted(t.role, t.named(p), took)
	}
	return true
}

// ranOut reports whether a call failed for want of memory and there is a new plan: then the next one finds the model
// loaded by that, for Ollama has unloaded all its models.
func (t *tenant) ranOut(ctx context.Context, p hwplan.Placement, err error) bool {
	return t.keeper != nil && p.Model != "" && ctx.Err() == nil && t.keeper.RanOut(ctx, t.role, p, err, -1)
}

// answered notes how fast the model wrote.
func (t *tenant) answered(p hwplan.Placement, m api.Metrics) {
	if t.keeper != nil && p.Model != "" { // it was planned
		t.keeper.Answered(p, m.EvalCount, m.EvalDuration)
	}
}

// named is the model that is loaded for p: another than the configured one, where that did not load on this machine.
func (t *tenant) named(p hwplan.Placement) string { return cmp.Or(p.Model, t.model) }

// runnerOptions are those that a model is loaded with. A call that differs in one of them loads it anew.
func runnerOptions(p hwplan.Placement, context, batch int) map[string]any {
	options := map[string]any{"num_ctx": context}
	if p.NumCtx > 0 {
		options["num_ctx"] = p.NumCtx
	}
	if p.NumBatch > 0 {
		batch = p.NumBatch
	}
	if batch > 0 {
		options["num_batch"] = batch
	}
	if p.NumGPU >= 0 {
		options["num_gpu"] = p.NumGPU
	}
	if p.MainGPU != nil {
		options["main_gpu"] = *p.MainGPU
	}
	if p.NumThread > 0 {
		options["num_thread"] = p.NumThread
	}
	return options
}
