package hwplan

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestReranker(t *testing.T) {
	for _, c := range []struct {
		free     int64
		reranker string
		device   Device
		why      string
	}{
		{6001, "bge-reranker-v2-m3", OnCPU, "it would take"}, // the 7B leaves 70 MiB
		{8000, "bge-reranker-v2-m3", OnGPU, "in what the others leave: 577 MiB of weights + 26 of buffers for 1024 tokens + 457 of its CUDA context = 1060 MiB"},
		{7100, "mmarco-mMiniLMv2-L12-H384-v1", OnGPU, "for 512 tokens"},
		{0, "bge-reranker-v2-m3", OnCPU, "on the CPU: 1"},
	} {
		r := described("linux", c.free).with(t, "qwen2.5:7b", "nomic-embed-text")
		without := Fit(r)
		if _, ok := without.Placement(Reranking); ok {
			t.Fatal("a reranker that nobody asked for is planned")
		}
		r.Reranker = new(lookup(t, c.reranker))
		plan := Fit(r)
		p := plan.Roles[Reranking]
		if p.Model != c.reranker || p.Device != c.device || (p.VRAMBytes > 0) != (c.device == OnGPU) || p.RAMBytes == 0 || p.Speed.Nominal == 0 {
			t.Errorf("%d MiB: %+v", c.free, p)
		}
		if why := strings.Join(plan.Why, "\n"); !strings.Contains(why, c.why) {
			t.Errorf("%d MiB: %s", c.free, why)
		}
		if got, want := plan.Roles[Chat].Offloaded, without.Roles[Chat].Offloaded; got != want {
			t.Errorf("%d MiB: %d layers beside the reranker, %d without it", c.free, got, want)
		}
	}
}

func TestCaptions(t *testing.T) {
	for _, c := range []struct {
		free   int64
		model  string
		device Device
	}{{6001, "qwen3-vl:2b", OnGPU}, {6001, "moondream", OnGPU}, {3200, "qwen3-vl:2b", OnCPU}, {0, "qwen3-vl:2b", OnCPU}} {
		r := described("linux", c.free).with(t, "qwen2.5:7b", "nomic-embed-text")
		without := Fit(r)
		if _, ok := without.Placement(Captions); ok {
			t.Fatal("captions that nobody asked for are planned")
		}
		r.Captions = new(lookup(t, c.model))
		plan := Fit(r)
		p, ok := plan.Lent[Captions]
		if !ok || p.Model != c.model || p.Device != c.device || p.VRAMBytes != p.Parts.VRAM() || (p.VRAMBytes > 0) != (c.device == OnGPU) || (p.NumGPU > 0) != (c.device == OnGPU) {
			t.Errorf("%d MiB: %+v", c.free, p)
		}
		if p.Device == OnGPU && p.Parts.Weights < r.Captions.VisionBytes || p.RAMBytes < 50*MiB {
			t.Errorf("%d MiB: %+v", c.free, p.Parts)
		}
		if plan.GPU.UsedBytes != without.GPU.UsedBytes || plan.RAM.UsedBytes != without.RAM.UsedBytes {
			t.Error("what comes in turns is counted among what stays")
		}
	}
}

// What is asked for is named; what is no such model is refused.
func TestExtraModels(t *testing.T) {
	find := func(name string) (Model, error) { return lookup(t, name), nil }
	base := described("linux", 24000).with(t, "qwen2.5:7b", "nomic-embed-text")
	r, err := Description{Reranker: "BAAI/bge-reranker-v2-m3", Captions: "qwen3-vl:2b"}.apply(base, find)
	if err != nil || r.Reranker == nil || r.Captions == nil {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err = (Description{Reranker: "none", Captions: "none"}).apply(r, find); err != nil || r.Reranker != nil || r.Captions != nil {
		t.Errorf("%+v %v", r, err)
	}
	for _, d := range []Description{{Reranker: "bge-m3"}, {Captions: "qwen2.5:7b"}, {Embedder: "bge-reranker-v2-m3"}, {LLM: "bge-reranker-v2-m3"}} {
		if _, err := d.apply(base, find); err == nil {
			t.Errorf("%+v is taken", d)
		}
	}
}

// A reranker never costs the language model a layer, nor does it make the sum too large.
func TestRerankerLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := NewRequest(Hardware{OS: "linux", RAM: Memory{TotalBytes: 32 * GiB, FreeBytes: 28 * GiB}, GPUs: []GPU{{
			Memory: Memory{TotalBytes: 48 * GiB, FreeBytes: rapid.Int64Range(300, 26000).Draw(t, "free") * MiB},
		}}})
		m, _ := Lookup(rapid.SampledFrom([]string{"qwen2.5:7b", "llama3.2:3b", "phi4:14b"}).Draw(t, "llm"))
		e, _ := Lookup("bge-m3")
		r.Chat, r.Embedder, r.KeepChat, r.KeepEmbedder = &m, &e, rapid.Bool().Draw(t, "keep"), true
		r.Smaller = slices.Clone(smaller())
		without := Fit(r)
		reranker, _ := Lookup(rapid.SampledFrom([]string{"bge-reranker-v2-m3", "mmarco-mMiniLMv2-L12-H384-v1"}).Draw(t, "reranker"))
		r.Reranker = &reranker
		plan := Fit(r)
		if a, b := plan.Roles[Chat], without.Roles[Chat]; a.Offloaded != b.Offloaded || a.Model != b.Model {
			t.Fatalf("%d layers of %s, without it %d of %s", a.Offloaded, a.Model, b.Offloaded, b.Model)
		}
		if plan.GPU.UsedBytes > plan.GPU.Lendable() || !plan.Fits {
			t.Fatalf("%d bytes of %d", plan.GPU.UsedBytes, plan.GPU.Lendable())
		}
	})
}
