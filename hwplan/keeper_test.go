package hwplan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeEngine is an Ollama on the fake card.
type fakeEngine struct {
	card    *fakeCard
	context int // MiB that CUDA takes of each process; first less than is assumed

	mu      sync.Mutex
	silent  bool
	most    int  // layers of the 7B that load; more are out of memory. 0: as many as are asked for
	spills  int  // layers that the engine leaves on the CPU without a word
	greedy  bool // it unloads the others before it loads a model as a whole
	longest int  // context that loads; more is out of memory. 0: as much as is asked for
	blind   bool // it does not see the card
	version string
	pulled  []string // on its disk, besides those that are asked for
	asked   int      // calls of Version
	running map[string]Running
}

func newFakeEngine(card *fakeCard) *fakeEngine {
	return &fakeEngine{card: card, context: 250, running: map[string]Running{}}
}

var errSilent = errors.New("connection refused")

func (e *fakeEngine) Version(context.Context) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	if e.silent {
		return "", errSilent
	}
	return cmp.Or(e.version, "0.32.15"), nil
}

func (e *fakeEngine) Model(_ context.Context, name string) (Model, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m, ok := Lookup(name)
	switch {
	case e.silent:
		return Model{}, errSilent
	case !ok:
		return Model{}, fmt.Errorf("%w: %s", ErrNoModel, name)
	}
	return m, nil
}

func (e *fakeEngine) Models(context.Context) ([]Stored, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Stored
	for _, name := range e.pulled {
		m, _ := Lookup(name)
		list = append(list, Stored{Name: name, Bytes: m.FileBytes})
	}
	return list, nil
}

func (e *fakeEngine) Running(context.Context) ([]Running, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Running
	for _, r := range e.running {
		list = append(list, r)
	}
	return list, nil
}

// load takes what p says of the card, and a context.
func (e *fakeEngine) load(p Placement) error {
	time.Sleep(8 * time.Second)
	e.mu.Lock()
	defer e.mu.Unlock()
	free := int64(fakeTotalMiB-e.card.usedMiB) * MiB
	if e.most > 0 && p.Offloaded > e.most && p.Model == "qwen2.5:7b" || e.longest > 0 && p.NumCtx > e.longest || !e.blind && p.VRAMBytes-p.Parts.Context > free {
		for name := range e.running { // Ollama unloads all others and tries once more
			e.drop(name)
		}
		return errors.New("llama-server process has terminated: cudaMalloc failed: out of memory")
	}
	if e.greedy && p.Offloaded == p.Layers {
		for name := range e.running {
			e.drop(name)
		}
	}
	bytes := p.VRAMBytes - p.Parts.Context
	if e.spills > 0 && p.Layers > 20 && p.Offloaded > 0 {
		bytes -= int64(e.spills) * 140 * MiB
		e.spills = 0
	}
	if e.blind {
		bytes = 0
	}
	if bytes > 0 {
		e.card.take(int(bytes/MiB) + e.context)
	}
	e.running[p.Model] = Running{Name: p.Model, Bytes: bytes + p.RAMBytes, VRAMBytes: bytes}
	return nil
}

func (e *fakeEngine) unload(model string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop(model)
}

func (e *fakeEngine) drop(model string) {
	if r, ok := e.running[model]; ok && r.VRAMBytes > 0 {
		e.card.take(-int(r.VRAMBytes/MiB) - e.context)
	}
	delete(e.running, model)
}

// A keptModel loads a model as an adapter does: as often as the keeper asks for another try.
type keptModel struct {
	keeper *Keeper
	engine *fakeEngine
	role   Role

	mu    sync.Mutex
	grant *Grant
	tried []int // layers of each load
}

// loads are the layers of each load.
func (m *keptModel) loads() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.tried)
}

// keep notes a load, and the grant of one that succeeded.
func (m *keptModel) keep(offloaded int, g *Grant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g != nil {
		m.grant = g
		return
	}
	m.tried = append(m.tried, offloaded)
}

func (m *keptModel) held() *Grant {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.grant
}

func (m *keptModel) load(t *testing.T) error {
	t.Helper()
	for {
		planner, err := m.keeper.Planner(t.Context())
		if err != nil {
			return err
		}
		grant, err := planner.Grant(t.Context(), m.role)
		if err != nil {
			return err
		}
		p := grant.Placement()
		m.keep(p.Offloaded, nil)
		before, start := m.keeper.FreeVRAM(t.Context()), time.Now()
		err = m.engine.load(p)
		if err == nil && m.keeper.Loaded(t.Context(), m.role, p, time.Since(start), before) {
			m.keep(0, grant)
			return nil
		}
		again := err == nil || m.keeper.RanOut(t.Context(), m.role, p, err, before)
		m.engine.unload(p.Model)
		grant.Release()
		if !again {
			return err
		}
	}
}

// vacate gives the memory back when it is wanted.
func (m *keptModel) vacate() {
	g := m.held()
	<-g.Wanted()
	m.engine.unload(g.Placement().Model)
	g.Release()
}

// keptLaptop is a keeper of the target laptop, its engine, and its two models.
func keptLaptop(t *testing.T, dir string) (k *Keeper, e *fakeEngine, embedder, chat *keptModel) {
	t.Helper()
	card := newFakeCard()
	e = newFakeEngine(card)
	k = keeperOf(t, dir, e)
	return k, e, &keptModel{keeper: k, engine: e, role: Embedding}, &keptModel{keeper: k, engine: e, role: Chat}
}

func keeperOf(t *testing.T, dir string, e *fakeEngine) *Keeper {
	t.Helper()
	return NewKeeper(KeeperConfig{
		Read: e.card.hardware, Engine: e, Chat: "qwen2.5:7b", Embedder: "nomic-embed-text", MoveEmbedder: true, Context: 8192,
		Path: filepath.Join(dir, "hwplan.json"),
	})
}

func (m *keptModel) mustLoad(t *testing.T) {
	t.Helper()
	if err := m.load(t); err != nil {
		t.Fatal(err)
	}
}

func keptPlan(t *testing.T, k *Keeper) Plan {
	t.Helper()
	planner, err := k.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return planner.Plan()
}

// What a CUDA context really takes shows at the embedder's load, in time for the language model's: less buys layers,
// more, as on an H100, costs some, and the card is not overfilled.
func TestContextIsLearned(t *testing.T) {
	for name, c := range map[string]struct{ context, layers int }{"small": {250, 28}, "as planned": {457, 25}, "large": {694, 22}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { loadBoth(t, dir, c.context, c.layers) })
		})
	}
}

// loadBoth loads the embedder and the language model on a card where CUDA takes context MiB a process.
func loadBoth(t *testing.T, dir string, context, layers int) {
	k, e, embedder, chat := keptLaptop(t, dir)
	e.context = context
	embedder.mustLoad(t)
	chat.mustLoad(t)
	if got := chat.loads(); len(got) != 1 || got[0] != layers {
		t.Errorf("layers tried: %v, want %d", got, layers)
	}
	k.run(t)
	time.Sleep(10 * time.Minute)
	status, err := k.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []Role{Chat, Embedding} {
		l := status.Loads[role]
		if diff := l.MeasuredBytes - l.PlannedBytes; diff < -MiB || diff > MiB || l.Loads != 1 {
			t.Errorf("%s: %+v", role, l)
		}
	}
	if got := keptPlan(t, k).Roles[Chat].Offloaded; got != layers {
		t.Errorf("%d layers later: %v", got, status.Notices)
	}
	if free := status.Hardware.GPUs[0].FreeBytes; free < 256*MiB {
		t.Errorf("%d MiB are free, less than the margin", mib(free))
	}
	// The models are in the engine's memory when the program starts again: they are not counted against the plan.
	again := keptPlan(t, keeperOf(t, dir, e))
	if got := again.Roles[Chat].Offloaded; got != layers {
		t.Errorf("%d layers at the next start, with a context of %d MiB", got, mib(again.Roles[Chat].Parts.Context))
	}
}

// A load that fails for want of memory is tried with fewer layers; what worked is remembered.
func TestOutOfMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		most  int
		tried []int
		where Device // of the embedder, at the end
	}{
		{"two layers too many", 24, []int{25, 23}, OnGPU},
		{"six layers too many", 20, []int{25, 23, 21, 19}, OnGPU},
		{"far too many", 5, []int{25, 23, 21, 19, 19, 0}, OnCPU},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				k, e, embedder, chat := keptLaptop(t, dir)
				e.most, e.context = c.most, 457 // MiB, as planned
				embedder.mustLoad(t)
				go embedder.vacate()
				chat.mustLoad(t)
				if fmt.Sprint(chat.loads()) != fmt.Sprint(c.tried) {
					t.Errorf("layers tried: %v, want %v", chat.loads(), c.tried)
				}
				plan := keptPlan(t, k)
				if got := plan.Roles[Embedding].Device; got != c.where {
					t.Errorf("the embedder is on the %s, want %s", got, c.where)
				}
				if got := keptPlan(t, keeperOf(t, dir, e)).Roles[Chat].Offloaded; got != c.tried[len(c.tried)-1] {
					t.Errorf("the next start plans %d layers", got)
				}
				if c.where == OnGPU {
					embedder.held().ask()
				}
				synctest.Wait()
			})
		})
	}
}

// Layers that an engine puts elsewhere without a word are noticed, and planned for.
func TestSpill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, chat := keptLaptop(t, t.TempDir())
		e.spills = 8
		chat.mustLoad(t)
		if fmt.Sprint(chat.loads()) != "[25 23]" {
			t.Errorf("layers tried: %v", chat.loads())
		}
		status, _ := k.Status(t.Context())
		if n := status.Notices; len(n) != 1 || !strings.Contains(n[0].Text, "did not go where it was planned") {
			t.Errorf("notices: %v", n)
		}
	})
}

// Ollama that unloads the embedder for a model loaded as a whole is not asked for the whole again.
func TestGreedyEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, embedder, chat := keptLaptop(t, t.TempDir())
		k.cfg.Chat = "llama3.2:3b"
		e.greedy = true
		embedder.mustLoad(t)
		chat.mustLoad(t)
		if fmt.Sprint(chat.loads()) != "[28 27]" {
			t.Errorf("layers tried: %v", chat.loads())
		}
	})
}

// run runs the keeper until the test's bubble ends.
func (k *Keeper) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A game takes nearly all that is left: the model gets fewer layers, by one load. When it ends, the layers come back.
func TestGame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, embedder, chat := keptLaptop(t, t.TempDir())
		k.cfg.Path = ""
		embedder.mustLoad(t)
		chat.mustLoad(t)
		k.run(t)
		reload := func() {
			chat.vacate()
			chat.mustLoad(t)
		}
		before := keptPlan(t, k).Roles[Chat].Offloaded
		go reload()
		e.card.take(650)
		time.Sleep(2 * time.Minute)
		during := keptPlan(t, k)
		if got := during.Roles[Chat].Offloaded; got >= before || len(chat.loads()) != 2 {
			t.Errorf("%d layers of %d during the game, loads %v", got, before, chat.loads())
		}
		if status, _ := k.Status(t.Context()); during.GPU.UsedBytes+during.GPU.MarginBytes > during.GPU.FreeBytes || status.Usage.GPU.LentBytes > during.GPU.Lendable() {
			t.Errorf("%+v", during.GPU)
		}
		go reload()
		e.card.take(-650)
		time.Sleep(10 * time.Minute)
		if got := keptPlan(t, k).Roles[Chat].Offloaded; got < before || len(chat.loads()) != 3 {
			t.Errorf("%d layers after the game, %d before it, loads %v", got, before, chat.loads())
		}
		status, _ := k.Status(t.Context())
		t.Logf("notices: %v", status.Notices)
	})
}

// The card falls off the bus: everything moves to the CPU, and back when it is there again.
func TestKeeperCardLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, chat := keptLaptop(t, t.TempDir())
		chat.mustLoad(t)
		k.run(t)
		go func() {
			chat.vacate()
			chat.mustLoad(t)
			chat.vacate()
			chat.mustLoad(t)
		}()
		e.card.lose()
		time.Sleep(2 * time.Minute)
		if plan := keptPlan(t, k); plan.Mode != ModeCPU || plan.Roles[Chat].VRAMBytes != 0 {
			t.Errorf("without a card: %s, %d bytes", plan.Mode, plan.Roles[Chat].VRAMBytes)
		}
		e.card.found()
		time.Sleep(2 * time.Minute)
		if plan := keptPlan(t, k); plan.Mode == ModeCPU {
			t.Error("with the card again all is on the CPU")
		}
		if len(chat.loads()) != 3 || chat.loads()[1] != 0 {
			t.Errorf("loads %v", chat.loads())
		}
	})
}

// What is lent to whom is told at once, not when the machine is next looked at.
func TestLendingIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, _, _ := keptLaptop(t, t.TempDir())
		planner, err := k.Planner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k.run(t)
		synctest.Wait()
		news, start := k.News(), time.Now()
		grant, err := planner.Grant(t.Context(), OCR)
		if err != nil {
			t.Fatal(err)
		}
		<-news
		if waited := time.Since(start); waited > 0 {
			t.Errorf("told after %v", waited)
		}
		grant.Release()
	})
}

// Heat slows background work down, then stops it; it goes on when the card is cool. Battery slows it.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, _ := keptLaptop(t, t.TempDir())
		k.run(t)
		pace := k.Pacer()
		// batches counts those of a time, of half a second each, while the card works.
		batches := func(during time.Duration) (n int, scale float64) {
			ctx, cancel := context.WithTimeout(t.Context(), during)
			defer cancel()
			for {
				s, err := pace(ctx)
				if err != nil {
					return n, scale
				}
				scale = s
				n++
				time.Sleep(500 * time.Millisecond)
			}
		}
		e.card.work(90)
		if n, scale := batches(time.Minute); n < 110 || scale != 1 {
			t.Errorf("cool: %d batches, of %v", n, scale)
		}
		e.card.heat(95)
		if n, scale := batches(80 * time.Second); scale != 0.5 || n > 150 {
			t.Errorf("getting hot: %d batches, the last of %v", n, scale)
		}
		time.Sleep(2 * time.Minute)
		if n, _ := batches(time.Minute); n != 0 {
			t.Errorf("hot: %d batches", n)
		}
		e.card.heat(60)
		e.card.work(0)
		time.Sleep(10 * time.Minute)
		if n, scale := batches(time.Minute); n < 110 || scale != 1 {
			t.Errorf("cool again: %d batches, of %v", n, scale)
		}
		e.card.battery(true)
		time.Sleep(time.Minute)
		if n, scale := batches(time.Minute); n > 62 || n < 58 || scale != 0.5 {
			t.Errorf("on battery: %d batches, of %v", n, scale)
		}
		small, others := 0, k.Pacer()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); small++ {
			_, _ = others(t.Context())
			time.Sleep(50 * time.Millisecond)
		}
		if small < 500 || small > 620 {
			t.Errorf("on battery: %d small batches in a minute", small)
		}
		status, _ := k.Status(t.Context())
		if status.Advice.Level != 1 {
			t.Errorf("%+v", status.Advice)
		}
	})
}

// An engine that comes later has its say then.
func TestLateEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, _ := keptLaptop(t, t.TempDir())
		e.silent = true
		if plan := keptPlan(t, k); plan.Engine != defaultOllama || plan.Roles[Chat].NumGPU != 26 {
			t.Errorf("without an engine: %+v", plan.Roles[Chat])
		}
		e.silent = false
		if plan := keptPlan(t, k); plan.Engine != "0.32.15" {
			t.Errorf("planned for Ollama %s", plan.Engine)
		}
		k.Evicted(Chat, "qwen2.5:7b", 3*time.Second)
		k.Answered(keptPlan(t, k).Roles[Chat], 100, 10*time.Second)
		status, _ := k.Status(t.Context())
		if l := status.Loads[Chat]; l.Unexpected != 1 || len(status.Notices) != 1 {
			t.Errorf("%+v %v", l, status.Notices)
		}
		k.mu.Lock()
		k.replan("")
		k.mu.Unlock()
		if s := keptPlan(t, k).Roles[Chat].Speed; s.Nominal != 10 {
			t.Errorf("the speed is %v, 10 were measured", s.Nominal)
		}
	})
}

// A file that is damaged is what was never learned.
func TestLearnedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hwplan.json")
	l := Learned{}
	l.learnContext("a", 900*MiB, 600*MiB)
	l.learnContext("a", 800*MiB, 600*MiB)
	if got := l.Contexts["a"]; got != 270*MiB {
		t.Errorf("%d MiB after 300 and 200", mib(got))
	}
	l.learnContext("b", 5000*MiB, 0)
	if got := l.Contexts["b"]; got != largestContext {
		t.Errorf("%d MiB: another program's memory was taken for a context", mib(got))
	}
	k := Keeper{cfg: KeeperConfig{Path: path}, learned: l}
	k.keep()
	back, err := loadLearned(path)
	if err != nil || back.Contexts["a"] != 270*MiB {
		t.Errorf("%v %v", back, err)
	}
	for _, bad := range []string{"", "{", "[]", `{"layer_limits": 7}`} {
		if l, err := decodeLearned([]byte(bad)); err == nil || l.Contexts != nil {
			t.Errorf("%q: %v %v", bad, l, err)
		}
	}
}
