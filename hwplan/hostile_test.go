package hwplan

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A context that does not load is not grown to again: the model is loaded whole with less, after one failure.
func TestGrownContextOutOfMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, chat := keptLaptop(t, t.TempDir())
		k.cfg.Chat, k.cfg.Context, e.longest = "llama3.2:3b", 0, 8192
		chat.mustLoad(t)
		if p := chat.grant.Placement(); len(chat.tried) != 2 || p.Offloaded != p.Layers || p.NumCtx != 8192 {
			t.Errorf("tried %v, %d tokens", chat.tried, p.NumCtx)
		}
	})
}

// What did not load because a game had the memory is planned for, but not remembered.
func TestGameAtLoad(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k, e, embedder, chat := keptLaptop(t, dir)
		embedder.mustLoad(t)
		e.card.take(2000)
		go embedder.vacate()
		chat.mustLoad(t)
		if n := len(chat.tried); n != 2 || chat.tried[1] == 0 {
			t.Errorf("layers tried: %v", chat.tried)
		}
		if l := k.learned; len(l.Offload) > 0 || len(l.EmbedderOnCPU) > 0 {
			t.Errorf("learned: %v, %v", l.Offload, l.EmbedderOnCPU)
		}
		if embedder.grant != nil {
			embedder.grant.ask()
		}
		synctest.Wait()
	})
}

// A game that takes the whole card is said a few times, not at every look.
func TestFullCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, embedder, chat := keptLaptop(t, t.TempDir())
		embedder.mustLoad(t)
		chat.mustLoad(t)
		k.run(t)
		go func() {
			chat.vacate()
			e.card.take(fakeTotalMiB)
			chat.mustLoad(t)
		}()
		go func() {
			embedder.vacate()
			e.card.take(fakeTotalMiB)
			embedder.mustLoad(t)
		}()
		e.card.take(fakeTotalMiB)
		time.Sleep(time.Hour)
		plan := keptPlan(t, k)
		if plan.Roles[Chat].VRAMBytes != 0 || plan.Roles[Chat].NumGPU != 0 {
			t.Errorf("on a full card: %+v", plan.Roles[Chat])
		}
		status, _ := k.Status(t.Context())
		if n := len(status.Notices); n == 0 || n > 4 {
			t.Errorf("%d notices: %v", n, status.Notices)
		}
	})
}

// Ollama is stopped for a while: its memory is not counted twice as free.
func TestEngineStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, embedder, chat := keptLaptop(t, t.TempDir())
		e.card.take(900) // a desktop
		embedder.mustLoad(t)
		chat.mustLoad(t)
		k.run(t)
		before := keptPlan(t, k).GPU.FreeBytes
		e.unload("qwen2.5:7b")
		e.unload("nomic-embed-text")
		time.Sleep(20 * time.Minute)
		if after := keptPlan(t, k).GPU.FreeBytes; after != before {
			t.Errorf("%d MiB are free to the plan, %d before Ollama was stopped", mib(after), mib(before))
		}
	})
}

// An Ollama that does not see the card, as in a container without it, is not asked for fewer and fewer layers.
func TestBlindEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, chat := keptLaptop(t, t.TempDir())
		e.blind = true
		chat.mustLoad(t)
		if len(chat.tried) != 1 || len(k.learned.Offload) > 0 {
			t.Errorf("layers tried: %v, learned %v", chat.tried, k.learned.Offload)
		}
		if status, _ := k.Status(t.Context()); len(status.Notices) != 1 || !strings.Contains(status.Notices[0].Text, "does not see the card") {
			t.Errorf("notices: %v", status.Notices)
		}
	})
}

// A model that the engine lists by another name has not been seen to spill.
func TestUnlistedModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, _ := keptLaptop(t, t.TempDir())
		p := keptPlan(t, k).Roles[Chat]
		e.running["other"] = Running{Name: "other", Bytes: GiB}
		if !k.Loaded(t.Context(), Chat, p, time.Second, 6*GiB) || len(k.learned.Offload) > 0 {
			t.Errorf("learned %v", k.learned.Offload)
		}
	})
}

// Looking at the state does not ask an engine that lacks a model again and again, but Run does.
func TestMissingModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, _ := keptLaptop(t, t.TempDir())
		k.cfg.Embedder = "not-pulled"
		keptPlan(t, k)
		asked := e.asked
		for range 10 {
			if _, err := k.Status(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := k.Plan(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if e.asked != asked {
			t.Errorf("asked %d times more", e.asked-asked)
		}
		k.cfg.Embedder = "bge-m3" // pulled
		k.run(t)
		time.Sleep(time.Minute)
		if p, ok := k.Placement(Embedding); !ok || p.Model != "bge-m3" {
			t.Errorf("%+v", p)
		}
	})
}

// An Ollama that was replaced by an older one counts layers in another way.
func TestEngineReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, _ := keptLaptop(t, t.TempDir())
		k.run(t)
		time.Sleep(time.Minute)
		e.mu.Lock()
		e.version = "0.17.4"
		e.mu.Unlock()
		time.Sleep(time.Minute)
		if plan := keptPlan(t, k); plan.Engine != "0.17.4" || plan.Roles[Chat].NumGPU != plan.Roles[Chat].Offloaded {
			t.Errorf("%s: %+v", plan.Engine, plan.Roles[Chat])
		}
		if status, _ := k.Status(t.Context()); len(status.Notices) != 1 {
			t.Errorf("notices: %v", status.Notices)
		}
	})
}

// A card that is silent for a moment, as after a laptop's sleep, is not lost.
func TestWaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, _ := keptLaptop(t, t.TempDir())
		k.run(t)
		for range 4 { // somebody works
			_, _ = k.Pacer()(t.Context())
			time.Sleep(time.Minute / 2)
		}
		e.card.lose()
		time.Sleep(6 * time.Second)
		e.card.found()
		time.Sleep(time.Minute)
		if status, _ := k.Status(t.Context()); len(status.Notices) != 0 {
			t.Errorf("notices: %v", status.Notices)
		}
	})
}

// What a model on the CPU takes from an earlier run is not taken from it twice.
func TestRAMGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, e, _, _ := keptLaptop(t, t.TempDir())
		e.running["qwen2.5:7b"] = Running{Name: "qwen2.5:7b", Bytes: 6 * GiB}
		read := func(free int64) Plan {
			k := keeperOf(t, t.TempDir(), e)
			k.cfg.Read = reading(Hardware{OS: "linux", RAM: Memory{TotalBytes: 16 * GiB, FreeBytes: free}})
			return keptPlan(t, k)
		}
		if plan := read(5 * GiB); !plan.Fits || plan.RAM.FreeBytes != 11*GiB {
			t.Errorf("fits %v, %d MiB free, %v", plan.Fits, mib(plan.RAM.FreeBytes), plan.Warnings)
		}
		if plan := read(10 * GiB); plan.RAM.FreeBytes != 12*GiB {
			t.Errorf("%d MiB free: more than an idle machine has", mib(plan.RAM.FreeBytes))
		}
	})
}
