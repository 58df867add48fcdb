package hwplan

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// with is a plan with some of its placements changed.
func with(p Plan, roles map[Role]Placement) Plan {
	p.Roles = maps.Clone(p.Roles)
	maps.Copy(p.Roles, roles)
	return p
}

// TestReplace scripts a new plan: the steps before it, the plan, the steps from then on.
func TestReplace(t *testing.T) {
	type steps []string
	smaller := laptop()
	smaller.GPU.FreeBytes -= 2000 * MiB
	none := laptop()
	delete(none.Roles, OCR)
	for name, tc := range map[string]struct {
		before steps
		plan   Plan
		state  string // after Replace
		after  steps
	}{
		"whoever moves is asked, the others keep their grant": {
			steps{"+chat", "chat |", "+embedding", "embedding chat |", "+captions", "embedding chat captions |"},
			with(laptop(), map[Role]Placement{Chat: hybrid(18)}),
			"embedding chat* captions |",
			steps{"-chat", "embedding captions |", "+chat", "embedding chat captions |"},
		},
		"nothing of the GPU is lent while it waits": {
			steps{"+chat", "chat |"},
			with(laptop(), map[Role]Placement{Chat: hybrid(18)}),
			"chat* |",
			steps{"+embedding", "chat* | embedding", "+captions", "chat* captions | embedding", "-chat", "embedding captions |"},
		},
		"nor RAM to what moves": {
			steps{"+chat", "chat |"},
			with(laptop(), map[Role]Placement{Chat: hybrid(18), Captions: onGPU(1000)}),
			"chat* |",
			steps{"+captions", "chat* | captions", "-chat", "captions |"},
		},
		"corrected bytes move nobody": {
			steps{"+chat", "chat |", "+embedding", "embedding chat |"},
			with(laptop(), map[Role]Placement{Embedding: onGPU(800)}),
			"embedding chat |", nil,
		},
		"who no longer fits is asked, the least dear first": {
			steps{"+embedding", "embedding |", "+transcription", "embedding transcription |", "+reranking", "embedding reranking transcription |"},
			planOf(2000, 16000, laptop().Roles),
			"embedding reranking transcription* |",
			steps{"-transcription", "embedding reranking |"},
		},
		"who waits for what the new plan cannot give is sent away": {
			steps{"+embedding", "embedding |", "+chat", "embedding chat |", "+ocr", "embedding chat* | ocr"},
			with(smaller, map[Role]Placement{Chat: hybrid(7)}), // OCR 4000 of 3600 MiB
			"embedding chat* | ocr",
			steps{"-chat", "embedding |"},
		},
		"and for what it lacks": {
			steps{"+chat", "chat |", "+ocr", "chat* | ocr"}, none, "chat* |", nil,
		},
		"a question asks a batch while a plan waits": {
			steps{"+ocr", "ocr |", "+embedding", "embedding ocr |"},
			with(laptop(), map[Role]Placement{Embedding: onCPU(700)}),
			"embedding* ocr |",
			steps{"+chat", "embedding* ocr* | chat", "-ocr", "embedding* | chat", "-embedding", "chat |"},
		},
		"a lost card: all move to the CPU": {
			steps{"+embedding", "embedding |", "+chat", "embedding chat |"},
			cpuOnly(), "embedding* chat* |",
			steps{"-chat", "embedding* |", "+chat", "embedding* | chat", "-embedding", "chat |", "+embedding", "embedding chat |"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(laptop())
				run := func(s steps) {
					for i := 0; i < len(s); i += 2 {
						d.do(t, s[i])
						if got := d.state(); got != s[i+1] {
							t.Errorf("%s: %q, want %q", s[i], got, s[i+1])
						}
						checkSums(t, d.Planner)
					}
				}
				run(tc.before)
				d.Replace(tc.plan)
				if got := d.state(); got != tc.state {
					t.Errorf("Replace: %q, want %q", got, tc.state)
				}
				checkSums(t, d.Planner)
				run(tc.after)
				d.end(t)
				if d.Usage().Replacing || d.Plan().GPU != tc.plan.GPU {
					t.Error("the new plan is not in force")
				}
			})
		})
	}
}

func TestReplaceSupersedes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(laptop())
		d.do(t, "+chat")
		d.do(t, "+embedding")
		d.Replace(with(laptop(), map[Role]Placement{Chat: hybrid(18)}))
		if d.Plan().Roles[Chat].Offloaded != 20 || !d.Usage().Replacing {
			t.Error("the plan took force too early")
		}
		d.Replace(with(laptop(), map[Role]Placement{Chat: hybrid(16), Embedding: onGPU(600)}))
		d.do(t, "-chat")
		d.do(t, "+chat")
		if got := d.grants[Chat].Placement().Offloaded; got != 16 {
			t.Errorf("%d layers, want those of the last plan", got)
		}
		if got := d.grants[Embedding].Placement().VRAMBytes; got != 600*MiB {
			t.Errorf("the embedder's %d bytes are not corrected", got)
		}
		// Back to where chat is: it takes force at once, though chat was asked.
		d.Replace(with(laptop(), map[Role]Placement{Chat: hybrid(14)}))
		d.Replace(with(laptop(), map[Role]Placement{Chat: hybrid(16)}))
		if got := d.state(); got != "embedding chat* |" || d.Usage().Replacing {
			t.Errorf("%q, replacing: %v", got, d.Usage().Replacing)
		}
		d.end(t)
	})
}

// anyPlan draws a plan in which what fits alone, beside others or not at all is left to chance.
func anyPlan(t *rapid.T) Plan {
	devices := []Device{OnGPU, OnGPU, OnGPU, OnHybrid, OnCPU, OnNPU}
	roles := map[Role]Placement{}
	for _, r := range []Role{Chat, Embedding, Reranking, Transcription, OCR, Captions} {
		if rapid.IntRange(0, 9).Draw(t, "missing") == 9 {
			continue
		}
		size := rapid.Int64Range(1, 8)
		roles[r] = Placement{
			Device: rapid.SampledFrom(devices).Draw(t, "device"), NumGPU: rapid.IntRange(0, 1).Draw(t, "layers"),
			VRAMBytes: size.Draw(t, "vram") * MiB, RAMBytes: (size.Draw(t, "ram") - 1) * MiB,
		}
	}
	return planOf(rapid.Int64Range(0, 10).Draw(t, "gpu"), rapid.Int64Range(1, 10).Draw(t, "ram"), roles)
}

// A client asks for a role, holds it until it is asked to yield, and some time more.
type client struct {
	quit chan struct{} // closed to give up, or to release at once
	done chan struct{}
}

// TestSequences draws sequences of grants, releases, cancellations and new plans.
// The sums hold after each, and at last, since holders yield, everybody is served.
func TestSequences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		for range 10 {
			rapid.Check(struct{ rapid.TB }{t}, sequence(t)) // rapid asks a *testing.T for its deadline, and a bubble has none
		}
		t.Logf("%v of simulated time", time.Since(start).Round(time.Hour))
	})
}

func sequence(t *testing.T) func(*rapid.T) {
	return func(rt *rapid.T) {
		p := NewPlanner(anyPlan(rt))
		var clients []*client
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				p.Replace(anyPlan(rt))
			case 1, 2:
				if len(clients) > 0 {
					close(take(rt, &clients).quit)
				}
			case 3:
				time.Sleep(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
			default:
				role := rapid.SampledFrom([]Role{Chat, Embedding, Reranking, Transcription, OCR, Captions}).Draw(rt, "role")
				clients = append(clients, newClient(t, p, role, time.Duration(rapid.IntRange(0, 30).Draw(rt, "yields after"))*time.Second))
			}
			synctest.Wait()
			checkSums(rt, p)
		}
		// A turn and a yield for each is the longest that they may take.
		time.Sleep(time.Duration(len(clients)+1) * 2 * (turn + 30*time.Second))
		synctest.Wait()
		checkSums(rt, p)
		if u := p.Usage(); len(p.queue) > 0 || u.Replacing {
			rt.Errorf("waits for ever: %d waiters, replacing: %v, %+v", len(p.queue), u.Replacing, u)
		}
		for _, c := range clients {
			close(c.quit)
			<-c.done
		}
		if len(p.held) > 0 || len(p.queue) > 0 {
			rt.Errorf("left: %v, %v", p.held, p.queue)
		}
	}
}

func take(t *rapid.T, from *[]*client) *client {
	i := rapid.IntRange(0, len(*from)-1).Draw(t, "which")
	c := (*from)[i]
	*from = slices.Delete(*from, i, i+1)
	return c
}

func newClient(t *testing.T, p *Planner, role Role, yield time.Duration) *client {
	ctx, cancel := context.WithCancel(t.Context())
	c := &client{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		<-c.quit
		cancel()
	}()
	go func() {
		defer close(c.done)
		g, err := p.Grant(ctx, role)
		if err != nil {
			return
		}
		select {
		case <-g.Wanted():
			time.Sleep(yield)
		case <-c.quit:
		}
		g.Release()
	}()
	return c
}
