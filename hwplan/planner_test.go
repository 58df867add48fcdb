package hwplan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// onGPU and onCPU are placements of so many MiB.
func onGPU(mib int64) Placement {
	return Placement{Model: "m", Device: OnGPU, VRAMBytes: mib * MiB}
}

func onCPU(mib int64) Placement {
	return Placement{Model: "m", Device: OnCPU, RAMBytes: mib * MiB}
}

// hybrid is the target laptop's language model, with so many of 28 layers on the GPU.
func hybrid(layers int) Placement {
	return Placement{
		Model: "qwen2.5:7b", Engine: "ollama", Device: OnHybrid, NumGPU: layers + 1, Layers: 28, Offloaded: layers,
		NumCtx: 8192, VRAMBytes: (900 + 150*int64(layers)) * MiB, RAMBytes: 134 * int64(28-layers) * MiB,
	}
}

// planOf has so many MiB to lend of GPU and of RAM.
func planOf(gpu, ram int64, roles map[Role]Placement) Plan {
	return Plan{
		GPU:   Budget{TotalBytes: gpu * MiB, FreeBytes: gpu * MiB},
		RAM:   Budget{TotalBytes: 2 * ram * MiB, FreeBytes: ram * MiB},
		Roles: roles,
	}
}

// laptop is a plan for 5600 MiB of VRAM: chat (3900) and embedder (700) stay
// together; OCR fits only beside the embedder, transcription beside either.
func laptop() Plan {
	return planOf(5600, 16000, map[Role]Placement{
		Chat: hybrid(20), Embedding: onGPU(700), Reranking: onGPU(500),
		Transcription: onGPU(1700), OCR: onGPU(4000), Captions: onCPU(3000),
	})
}

// cpuOnly is a plan for a laptop without a card and with little free RAM.
func cpuOnly() Plan {
	return planOf(0, 3000, map[Role]Placement{
		Chat: onCPU(5000), Embedding: onCPU(700), Transcription: onCPU(1500), OCR: onCPU(2900), Captions: onCPU(4000),
	})
}

// A desk takes grants and gives them back as a script says.
type desk struct {
	*Planner
	mu      sync.Mutex
	cancels map[Role]context.CancelFunc
	grants  map[Role]*Grant
	wg      sync.WaitGroup
}

// do carries out a step: +role asks, -role releases, ~role gives up waiting, a duration passes.
func (d *desk) do(t *testing.T, step string) {
	switch role := Role(step[1:]); step[0] {
	case '+':
		ctx, cancel := context.WithCancel(t.Context())
		d.cancels[role] = cancel
		d.wg.Go(func() {
			g, err := d.Grant(ctx, role)
			d.mu.Lock()
			defer d.mu.Unlock()
			if err == nil {
				d.grants[role] = g
			}
		})
	case '-':
		d.mu.Lock()
		d.grants[role].Release()
		d.mu.Unlock()
	case '~':
		d.cancels[role]()
	default:
		pause, err := time.ParseDuration(step)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
	}
	synctest.Wait()
}

// state writes down who holds, dearest first, with * who is asked to yield, and who waits, in turn.
func (d *desk) state() string {
	d.Planner.mu.Lock()
	defer d.Planner.mu.Unlock()
	var held, waiting []string
	for _, r := range d.holders() {
		mark := ""
		if d.held[r].asked {
			mark = "*"
		}
		held = append(held, string(r)+mark)
	}
	for _, w := range d.queue {
		waiting = append(waiting, string(w.role))
	}
	return strings.TrimSpace(strings.Join(held, " ") + " | " + strings.Join(waiting, " "))
}

// end gives everything back and waits for everybody.
func (d *desk) end(t *testing.T) {
	for _, cancel := range d.cancels {
		cancel()
	}
	d.wg.Wait()
	for _, g := range d.grants {
		g.Release()
	}
	if s := d.state(); s != "|" {
		t.Errorf("at the end: %q", s)
	}
}

func newDesk(p Plan) *desk {
	return &desk{Planner: NewPlanner(p), cancels: map[Role]context.CancelFunc{}, grants: map[Role]*Grant{}}
}

func TestRules(t *testing.T) {
	type steps []string // a step, and the state after it
	tight := planOf(4000, 16000, map[Role]Placement{Chat: onGPU(3900), Embedding: onGPU(700), OCR: onGPU(3800)})
	many := planOf(5000, 16000, map[Role]Placement{
		Chat: onGPU(3000), Embedding: onGPU(500), Reranking: onGPU(1000), Transcription: onGPU(1000), OCR: onGPU(2500), Captions: onGPU(500),
	})
	for name, tc := range map[string]struct {
		plan  Plan
		steps steps
	}{
		"chat and embedder stay together": {laptop(), steps{"+chat", "chat |", "+embedding", "embedding chat |"}},
		"two small ones share the card":   {laptop(), steps{"+embedding", "embedding |", "+transcription", "embedding transcription |"}},
		"a batch asks chat, and not the embedder": {laptop(), steps{
			"+chat", "chat |", "+embedding", "embedding chat |", "+ocr", "embedding chat* | ocr", "-chat", "embedding ocr |",
		}},
		"a batch asks the embedder where it would never fit beside it": {tight, steps{
			"+embedding", "embedding |", "+ocr", "embedding* | ocr", "-embedding", "ocr |",
		}},
		"a question asks a batch at once": {laptop(), steps{"+ocr", "ocr |", "+chat", "ocr* | chat", "-ocr", "chat |"}},
		"chat and embedder ask each other where both never fit": {tight, steps{
			"+chat", "chat |", "+embedding", "chat* | embedding", "-chat", "embedding |", "+chat", "embedding* | chat",
		}},
		"the embedder goes before OCR and after chat, which came first": {laptop(), steps{
			"+ocr", "ocr |", "+transcription", "ocr | transcription", "+chat", "ocr* | chat transcription",
			"+embedding", "embedding ocr* | chat transcription", "-ocr", "embedding chat* | transcription",
		}},
		"no more are asked than needed, the lowest first": {many, steps{
			"+reranking", "reranking |", "+transcription", "reranking transcription |", "+ocr", "reranking transcription ocr |",
			"+chat", "reranking transcription ocr* | chat",
		}},
		"as many are asked as the interactive ones need together": {many, steps{
			"+reranking", "reranking |", "+transcription", "reranking transcription |", "+ocr", "reranking transcription ocr |",
			"+chat", "reranking transcription ocr* | chat", "+embedding", "reranking transcription* ocr* | chat embedding",
		}},
		"a small one is spared where a large one must go": {many, steps{
			"+captions", "captions |", "+ocr", "ocr captions |", "+transcription", "transcription ocr captions |",
			"+embedding", "embedding transcription ocr captions |", "+chat", "embedding transcription ocr* captions | chat",
		}},
		"who was asked already is counted before another is asked": {many, steps{
			"+ocr", "ocr |", "+captions", "ocr captions |", "+reranking", "reranking ocr captions |",
			"+chat", "reranking ocr* captions | chat", "+embedding", "embedding reranking ocr* captions | chat",
		}},
		"who was asked by one who gave up is counted too": {
			with(many, map[Role]Placement{Chat: onGPU(2500)}), steps{
				"+ocr", "ocr |", "+reranking", "reranking ocr |", "+transcription", "reranking transcription ocr |",
				"+captions", "reranking transcription ocr captions |", "+chat", "reranking transcription ocr* captions | chat",
				"~chat", "reranking transcription ocr* captions |", "+embedding", "reranking transcription ocr* captions | embedding",
			},
		},
		"a batch has a turn before another may ask": {laptop(), steps{
			"+ocr", "ocr |", "30s", "ocr |", "+transcription", "ocr | transcription",
			"29s", "ocr | transcription", "1s", "ocr* | transcription", "-ocr", "transcription |",
		}},
		"first come, first served among batches": {laptop(), steps{
			"+chat", "chat |", "+embedding", "embedding chat |", "+ocr", "embedding chat* | ocr",
			"+transcription", "embedding chat* | ocr transcription", "-chat", "embedding ocr | transcription",
		}},
		"a small one goes beside what the head waits for": {many, steps{
			"+chat", "chat |", "+ocr", "chat* | ocr", "+transcription", "chat* transcription | ocr",
			"+captions", "chat* transcription captions | ocr", "-chat", "transcription ocr captions |",
		}},
		"and not where that would keep the head waiting": {
			planOf(5000, 0, map[Role]Placement{Chat: onGPU(2000), OCR: onGPU(4000), Captions: onGPU(1500)}), steps{
				"+chat", "chat |", "+ocr", "chat* | ocr", "+captions", "chat* | ocr captions", "-chat", "ocr | captions",
			},
		},
		"RAM is another queue": {laptop(), steps{"+ocr", "ocr |", "+transcription", "ocr | transcription", "+captions", "ocr captions | transcription"}},
		"one grant a role":     {laptop(), steps{"+captions", "captions |", "+captions", "captions | captions", "1m", "captions* | captions"}},
		"a second of the same role asks for no more": {many, steps{
			"+ocr", "ocr |", "+reranking", "reranking ocr |", "+transcription", "reranking transcription ocr |",
			"+captions", "reranking transcription ocr captions |", "+embedding", "reranking transcription ocr captions* | embedding",
			"+embedding", "reranking transcription ocr captions* | embedding embedding", "-captions", "embedding reranking transcription ocr | embedding",
		}},
		"who gives up leaves the queue": {laptop(), steps{
			"+ocr", "ocr |", "+chat", "ocr* | chat", "+transcription", "ocr* | chat transcription",
			"~chat", "ocr* | transcription", "-ocr", "transcription |",
		}},
		"the one who gives up keeps nobody waiting": {many, steps{
			"+chat", "chat |", "+embedding", "embedding chat |", "+reranking", "embedding chat reranking |",
			"+ocr", "embedding chat* reranking | ocr", "+transcription", "embedding chat* reranking | ocr transcription",
			"~ocr", "embedding chat* reranking | transcription", "-chat", "embedding reranking transcription |",
		}},
		"chat, asked for a batch, does not count as leaving for the embedder": {
			planOf(5000, 0, map[Role]Placement{Chat: onGPU(3500), Embedding: onGPU(700), Transcription: onGPU(1200), OCR: onGPU(3000)}), steps{
				"+chat", "chat |", "+transcription", "chat transcription |", "+ocr", "chat* transcription | ocr",
				"+embedding", "chat* transcription* | embedding ocr",
			},
		},
		"without a card, chat and embedder share the little RAM": {cpuOnly(), steps{
			"+chat", "chat |", "+embedding", "embedding chat |", "+transcription", "embedding chat* | transcription",
			"-chat", "embedding transcription |", "+chat", "embedding transcription* | chat", "-transcription", "embedding chat |",
		}},
		"without a card, OCR wants all the RAM, and the embedder takes it back": {cpuOnly(), steps{
			"+embedding", "embedding |", "+ocr", "embedding* | ocr", "-embedding", "ocr |", "+embedding", "ocr* | embedding", "-ocr", "embedding |",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(tc.plan)
				for i := 0; i < len(tc.steps); i += 2 {
					d.do(t, tc.steps[i])
					if got := d.state(); got != tc.steps[i+1] {
						t.Errorf("step %d, %s: %q, want %q", i/2, tc.steps[i], got, tc.steps[i+1])
					}
					checkSums(t, d.Planner)
				}
				d.end(t)
			})
		})
	}
}

func TestGrantRefuses(t *testing.T) {
	p := NewPlanner(cpuOnly())
	for role, want := range map[Role]error{
		Reranking: ErrNoRole,
		Captions:  ErrWontFit, // 4000 MiB of 3000
	} {
		if _, err := p.Grant(t.Context(), role); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", role, err, want)
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Grant(done, Chat); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	for _, role := range []Role{Chat, Embedding} { // 5000 MiB of 3000: always, alone
		g, err := p.Grant(t.Context(), role)
		if err != nil {
			t.Fatal(role, err)
		}
		g.Release()
		g.Release()
	}
	if _, err := NewPlanner(planOf(1000, 0, map[Role]Placement{Chat: onGPU(1001)})).Grant(t.Context(), Chat); !errors.Is(err, ErrWontFit) {
		t.Errorf("the GPU is no advice: %v", err)
	}
}

// TestNobodyIsOvertakenForEver: three small roles come again and again, and a large one must have its turn.
func TestNobodyIsOvertakenForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPlanner(planOf(5000, 0, map[Role]Placement{
			Reranking: onGPU(1500), Transcription: onGPU(1500), Captions: onGPU(1500), OCR: onGPU(4000),
		}))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, role := range []Role{Reranking, Transcription, Captions} {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 3 * time.Second) // never all at once
				for ctx.Err() == nil {
					if g, err := p.Grant(ctx, role); err == nil {
						time.Sleep(10 * time.Second)
						g.Release()
					}
				}
			})
		}
		time.Sleep(time.Minute)
		start := time.Now()
		g, err := p.Grant(ctx, OCR)
		if waited := time.Since(start); err != nil || waited > 10*time.Second {
			t.Errorf("waited %v, %v", waited, err)
		}
		cancel()
		g.Release()
		wg.Wait()
	})
}

func TestReleaseTwice(t *testing.T) {
	p := NewPlanner(laptop())
	first, err := p.Grant(t.Context(), OCR)
	if err != nil {
		t.Fatal(err)
	}
	first.Release()
	if _, err := p.Grant(t.Context(), OCR); err != nil {
		t.Fatal(err)
	}
	first.Release() // is not the second's
	if u := p.Usage(); len(u.GPU.Tenants) != 1 || u.GPU.LentBytes != 4000*MiB {
		t.Errorf("%+v", u.GPU)
	}
}

func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := laptop()
		plan.GPU.Name = "RTX 3050"
		d := newDesk(plan)
		changed := d.Changed()
		d.do(t, "+chat")
		select {
		case <-changed:
		default:
			t.Error("a grant is no change")
		}
		start := time.Now()
		d.do(t, "5s")
		changed = d.Changed()
		d.do(t, "+ocr")
		<-changed
		u := d.Usage()
		want := Tenant{Role: Chat, Model: "qwen2.5:7b", Bytes: 3900 * MiB, Since: start, Wanted: true}
		if u.GPU.Name != "RTX 3050" || u.GPU.LendableBytes != 5600*MiB || u.GPU.LentBytes != 3900*MiB ||
			len(u.GPU.Tenants) != 1 || u.GPU.Tenants[0] != want {
			t.Errorf("GPU %+v", u.GPU)
		}
		if len(u.GPU.Waiters) != 1 || u.GPU.Waiters[0] != (Waiting{OCR, start.Add(5 * time.Second)}) {
			t.Errorf("waiters %+v", u.GPU.Waiters)
		}
		if len(u.RAM.Tenants) != 1 || u.RAM.Tenants[0].Bytes != 8*134*MiB || u.RAM.Waiters == nil {
			t.Errorf("RAM %+v", u.RAM)
		}
		select {
		case <-d.Changed():
			t.Error("a change without a change")
		default:
		}
		d.end(t)
	})
}

// checkSums asserts what must hold between any two calls.
func checkSums(t interface{ Errorf(string, ...any) }, p *Planner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var gpu, ram int64
	mapped := true
	for role, g := range p.held {
		d := demand(g.placement)
		gpu += d.gpu
		ram += d.ram
		mapped = mapped && (role.interactive() || d.ram == 0)
		if !loadsAlike(g.placement, p.plan.Roles[role]) || demand(p.plan.Roles[role]) != d {
			t.Errorf("%s holds what is not in the plan in force", role)
		}
	}
	if gpu > p.plan.GPU.Lendable() {
		t.Errorf("%d MiB of VRAM lent, %d lendable", gpu/MiB, p.plan.GPU.Lendable()/MiB)
	}
	if !mapped && ram > p.plan.RAM.Lendable() {
		t.Errorf("%d MiB of RAM lent, %d lendable", ram/MiB, p.plan.RAM.Lendable()/MiB)
	}
}

// crowd sends many goroutines, each of which holds for a while or until it is asked, or gives up early.
func crowd(t *testing.T, p *Planner, unit time.Duration) (granted, gaveUp int) {
	roles := []Role{Chat, Embedding, Reranking, Transcription, OCR, Captions}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 300 {
		role, patience := roles[rand.N(len(roles))], rand.N(400*unit)
		hold, early, delay := rand.N(20*unit), rand.N(2) == 0, rand.N(5*unit)
		wg.Go(func() {
			ctx := t.Context()
			if early {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, patience)
				defer cancel()
			}
			g, err := p.Grant(ctx, role)
			checkSums(t, p)
			mu.Lock()
			if err == nil {
				granted++
			} else {
				gaveUp++
			}
			mu.Unlock()
			if err != nil {
				return
			}
			select {
			case <-time.After(hold):
			case <-g.Wanted():
				time.Sleep(delay)
			}
			g.Release()
			checkSums(t, p)
		})
	}
	wg.Wait()
	return granted, gaveUp
}

func TestCrowd(t *testing.T) {
	check := func(t *testing.T, p *Planner, granted, gaveUp int) {
		t.Logf("%d granted, %d gave up", granted, gaveUp)
		if u := p.Usage(); u.GPU.LentBytes+u.RAM.LentBytes != 0 || len(u.GPU.Waiters)+len(u.RAM.Waiters) != 0 || len(p.queue) != 0 {
			t.Errorf("left: %+v", u)
		}
		if granted+gaveUp != 300 || granted < 100 || gaveUp == 0 {
			t.Errorf("%d granted, %d gave up", granted, gaveUp)
		}
	}
	t.Run("simulated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewPlanner(laptop())
			granted, gaveUp := crowd(t, p, time.Second)
			check(t, p, granted, gaveUp)
		})
	})
	t.Run("real", func(t *testing.T) {
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		p := NewPlanner(laptop())
		granted, gaveUp := crowd(t, p, 100*time.Microsecond)
		check(t, p, granted, gaveUp)
	})
}

func ExamplePlanner() {
	p := NewPlanner(laptop())
	chat, _ := p.Grant(context.Background(), Chat)
	fmt.Println(chat.Placement().Offloaded, "layers on the GPU")
	chat.Release()
	// Output: 20 layers on the GPU
}
