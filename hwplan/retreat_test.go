package hwplan

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lastNotice is the newest.
func lastNotice(t *testing.T, k *Keeper) string {
	t.Helper()
	status, err := k.Status(t.Context())
	if err != nil || len(status.Notices) == 0 {
		t.Fatalf("no notices: %v", err)
	}
	return status.Notices[len(status.Notices)-1].Text
}

// The last step of the ladder: a smaller model that the engine has answers in the place of one that does not load, and
// is named in plan and notice. It does so after the next start too. A week later the larger one is tried again.
func TestStandIn(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k, e, embedder, chat := keptLaptop(t, dir)
		e.most, e.context, e.pulled = 5, 457, []string{"qwen3:8b", "bge-m3", "deepseek-r1:1.5b", "llama3.2:3b"}
		embedder.mustLoad(t)
		go embedder.vacate()
		chat.mustLoad(t)
		if got := fmt.Sprint(chat.loads()); got != "[25 23 21 19 19 28]" {
			t.Errorf("layers tried: %s", got)
		}
		check := func(k *Keeper) {
			t.Helper()
			plan := keptPlan(t, k)
			if p := plan.Roles[Chat]; p.Model != "llama3.2:3b" || p.InPlaceOf != "qwen2.5:7b" || p.Device != OnGPU {
				t.Errorf("%+v", p)
			}
			if w := strings.Join(plan.Warnings, "\n"); !strings.Contains(w, "llama3.2:3b answers in the place of qwen2.5:7b") {
				t.Errorf("warnings: %s", w)
			}
		}
		check(k)
		if n := lastNotice(t, k); !strings.Contains(n, "qwen2.5:7b ran out of memory") || !strings.Contains(n, "llama3.2:3b answers in its place") {
			t.Errorf("notice: %s", n)
		}
		again := keeperOf(t, dir, e)
		check(again)
		if free, before := keptPlan(t, again).GPU.FreeBytes, keptPlan(t, k).GPU.FreeBytes; free < before-brim {
			t.Errorf("%d MiB are free to the plan, %d before the start: the stand-in is counted against it", mib(free), mib(before))
		}
		other, err := again.WhatIf(t.Context(), Description{GPUTotalBytes: new(24 * GiB)})
		if err != nil || other.Roles[Chat].Model != "qwen2.5:7b" || other.Roles[Chat].InPlaceOf != "" {
			t.Errorf("on another machine: %+v %v", other.Roles[Chat], err)
		}
		time.Sleep(patience + time.Hour)
		e.unload("llama3.2:3b")
		for range 3 { // the steps are taken back one by one, each at a start; the oldest is the first
			again = keeperOf(t, dir, e)
			again.keep()
		}
		if plan := keptPlan(t, again); plan.Roles[Chat].Model != "qwen2.5:7b" || plan.Roles[Chat].Offloaded != 21 || plan.Roles[Embedding].Device != OnGPU {
			t.Errorf("after a week: %+v", plan.Roles[Chat])
		}
		synctest.Wait()
	})
}

// Without a smaller model on its disk the engine computes on the CPU, and one to fetch is named.
func TestNoStandIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, chat := keptLaptop(t, t.TempDir())
		e.most, e.pulled = 1, []string{"qwen3:8b", "bge-m3"}
		k.cfg.Embedder = ""
		chat.mustLoad(t)
		if p := keptPlan(t, k).Roles[Chat]; p.Model != "qwen2.5:7b" || p.Device != OnCPU {
			t.Errorf("%+v", p)
		}
		if n := lastNotice(t, k); !strings.Contains(n, "all of it goes to the CPU. qwen3:4b would be faster (`ollama pull qwen3:4b` fetches it)") {
			t.Errorf("notice: %s", n)
		}
	})
}

// What did not load is tried again after a while, one step a start.
func TestRelax(t *testing.T) {
	now := time.Now()
	ago := func(days int) time.Time { return now.Add(-time.Duration(days) * 24 * time.Hour) }
	learned := func() Learned {
		return Learned{
			Offload:       map[string]Limit{"old": {19, ago(30)}, "new": {12, ago(1)}},
			EmbedderOnCPU: map[string]time.Time{"e": ago(20)},
			Instead:       map[string]StandIn{"c": {"llama3.2:3b", ago(10)}},
		}
	}
	l := learned()
	for i, want := range []string{
		"map[new:12 old:21] 1 1", // the oldest first
		"map[new:12 old:21] 0 1",
		"map[new:12 old:21] 0 0",
		"map[new:12 old:21] 0 0", // what is new is believed
	} {
		l.relax(now)
		layers := map[string]int{}
		for key, limit := range l.Offload {
			layers[key] = limit.Layers
		}
		if got := fmt.Sprint(layers, len(l.EmbedderOnCPU), len(l.Instead)); got != want {
			t.Errorf("step %d: %s, want %s", i+1, got, want)
		}
	}
	l = Learned{Offload: map[string]Limit{"gone": {9, ago(100)}, "cpu": {0, ago(8)}}}
	if l.relax(now); len(l.Offload) != 0 {
		t.Errorf("stale, and none on the GPU: %v", l.Offload)
	}
	var nothing Learned
	nothing.relax(now)
}

// A newer Ollama may load what an older did not.
func TestLimitIsOfVersion(t *testing.T) {
	r := described("linux", 6001).with(t, "qwen2.5:7b", "nomic-embed-text")
	card := r.Hardware.GPUs[0]
	set(&r.Learned.Offload, offloadKey(card, "0.31.0", "qwen2.5:7b", 8192, 512), Limit{Layers: 15})
	set(&r.Learned.EmbedderOnCPU, modelKey(card, "0.31.0", "nomic-embed-text"), time.Now())
	for version, want := range map[string]int{"0.31.0": 15, "0.32.0": 25} {
		r.Ollama = version
		if plan := Fit(r); plan.Roles[Chat].Offloaded != want || (plan.Roles[Embedding].Device == OnCPU) != (want == 15) {
			t.Errorf("Ollama %s: %d layers, embedder on the %s", version, plan.Roles[Chat].Offloaded, plan.Roles[Embedding].Device)
		}
	}
}

// At the third level of strain a smaller model is offered by its name, and one that the engine has before one of the catalogue.
func TestOfferNames(t *testing.T) {
	for _, c := range []struct {
		pulled []string
		want   string
	}{{nil, "qwen3:4b"}, {[]string{"deepseek-r1:1.5b", "llama3.2:3b"}, "llama3.2:3b"}} {
		synctest.Test(t, func(t *testing.T) {
			k, e, _, chat := keptLaptop(t, t.TempDir())
			e.pulled = c.pulled
			chat.mustLoad(t)
			k.run(t)
			e.card.work(90)
			e.card.heat(95)
			time.Sleep(20 * time.Minute)
			status, err := k.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			a := status.Advice
			if !a.Offer || a.Model != c.want || !strings.Contains(a.Reason, c.want+" would be faster") || strings.Contains(a.Reason, "ollama pull") != (c.pulled == nil) {
				t.Errorf("%+v", a)
			}
			if plan := keptPlan(t, k); plan.Roles[Chat].Model != "qwen2.5:7b" {
				t.Errorf("the model was changed to %s", plan.Roles[Chat].Model)
			}
		})
	}
}

// A model that was in the engine's memory when the program started is shown with what it takes; it counts as no load.
func TestFoundInMemory(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		_, e, _, chat := keptLaptop(t, dir)
		chat.mustLoad(t)
		k := keeperOf(t, t.TempDir(), e)
		p := chat.held().Placement()
		if !k.Loaded(t.Context(), Chat, planned(t, k), 0, k.FreeVRAM(t.Context())) {
			t.Fatal("it is to be loaded anew")
		}
		status, _ := k.Status(t.Context())
		if l := status.Loads[Chat]; l.Loads != 0 || l.Model != "qwen2.5:7b" || l.PlannedBytes == 0 || l.MeasuredBytes != p.VRAMBytes-p.Parts.Context {
			t.Errorf("%+v", l)
		}
		if len(k.learned.Contexts) != 0 {
			t.Errorf("a context was learned from no load: %v", k.learned.Contexts)
		}
	})
}

func planned(t *testing.T, k *Keeper) Placement {
	t.Helper()
	return keptPlan(t, k).Roles[Chat]
}

// Of several cards the plan names one and sends its index; an engine that uses another is noticed.
func TestMainGPU(t *testing.T) {
	r := described("linux", 6001).with(t, "qwen2.5:7b", "nomic-embed-text")
	if plan := Fit(r); plan.Roles[Chat].MainGPU != nil || plan.Roles[Embedding].MainGPU != nil {
		t.Error("main_gpu is sent where there is one card")
	}
	r.Hardware.GPUs = append(r.Hardware.GPUs, GPU{Index: 1, Name: "NVIDIA X", Memory: Memory{TotalBytes: 8 * GiB, FreeBytes: 8 * GiB}})
	plan := Fit(r)
	for role, p := range plan.Roles {
		if p.MainGPU == nil || *p.MainGPU != 1 {
			t.Errorf("%s: main_gpu %v", role, p.MainGPU)
		}
	}
	if w := strings.Join(plan.Warnings, "\n"); plan.GPU.Name != "NVIDIA X" || !strings.Contains(w, "number 1 NVIDIA X") || !strings.Contains(w, "main_gpu 1") {
		t.Errorf("%s, warnings %s", plan.GPU.Name, w)
	}
	r.Ollama = "0.17.4"
	if w := strings.Join(Fit(r).Warnings, "\n"); !strings.Contains(w, "CUDA_VISIBLE_DEVICES") {
		t.Errorf("warnings %s", w)
	}
	r.Hardware.GPUs = []GPU{r.Hardware.GPUs[1], {Index: 0}}
	a, b := plan.Roles[Chat], Fit(r).Roles[Chat]
	b.NumGPU = a.NumGPU
	if !loadsAlike(a, b) {
		t.Error("the same index is another card")
	}
	if b.MainGPU = new(0); loadsAlike(a, b) {
		t.Error("a model that moves to another card is not loaded anew")
	}
}

// A load that leaves the planned card's memory as it was went to another card.
func TestOtherCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e, _, _ := keptLaptop(t, t.TempDir())
		first := e.card.hardware
		k.cfg.Read = func(ctx context.Context) Hardware {
			hw := first(ctx)
			hw.GPUs = append(hw.GPUs, GPU{Index: 1, UUID: "GPU-2", Name: "NVIDIA X", Memory: Memory{TotalBytes: 4 * GiB, FreeBytes: 4 * GiB}})
			return hw
		}
		p := planned(t, k)
		e.running["qwen2.5:7b"] = Running{Name: "qwen2.5:7b", Bytes: 5 * GiB, VRAMBytes: p.VRAMBytes - p.Parts.Context}
		free := k.FreeVRAM(t.Context())
		if !k.Loaded(t.Context(), Chat, p, 8*time.Second, free) {
			t.Error("it is to be loaded anew")
		}
		if n := lastNotice(t, k); !strings.Contains(n, "on another card than number 0") {
			t.Errorf("notice: %s", n)
		}
	})
}

// After a start our models are given back to the card that they are on, not to the one that has more room now.
func TestHolder(t *testing.T) {
	cards := []GPU{
		{Index: 0, Memory: Memory{TotalBytes: 8 * GiB, FreeBytes: 2 * GiB}},
		{Index: 1, Memory: Memory{TotalBytes: 4 * GiB, FreeBytes: 3 * GiB}},
	}
	if g, ok := holder(cards, 5*GiB); !ok || g.Index != 0 {
		t.Errorf("%+v", g)
	}
	if g, ok := holder(cards, 0); !ok || g.Index != 1 {
		t.Errorf("%+v", g)
	}
	if _, ok := holder(nil, 0); ok {
		t.Error("there is no card")
	}
}

// What a runner may take of the RAM with use is said, and how to bound it where there is no room for it.
func TestRAMGrowth(t *testing.T) {
	r := described("linux", 6001).with(t, "qwen2.5:7b", "nomic-embed-text")
	plan := Fit(r)
	if why := strings.Join(plan.Why, "\n"); !strings.Contains(why, "RAM: the models take 992 MiB, and with use up to 8704 more") || len(plan.Warnings) != 0 {
		t.Errorf("%s\n%v", why, plan.Warnings)
	}
	r.Hardware.RAM = Memory{TotalBytes: 8 * GiB, FreeBytes: 4 * GiB}
	if plan = Fit(r); !plan.Fits || len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "there is room for 2592: start it with LLAMA_ARG_CACHE_RAM=1280") {
		t.Errorf("fits %v, warnings %v", plan.Fits, plan.Warnings)
	}
	r.Ollama = "0.17.4" // has no such cache
	if plan = Fit(r); len(plan.Warnings) != 0 || plan.Roles[Chat].GrowthBytes != 0 {
		t.Errorf("warnings %v", plan.Warnings)
	}
}
