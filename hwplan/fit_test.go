package hwplan

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// described is a machine with one card, and the target laptop's other parts.
func described(system string, freeMiB int64) Request {
	hw := Hardware{OS: system, CPU: CPU{Cores: 16}, RAM: Memory{TotalBytes: 32 * GiB, FreeBytes: 28 * GiB}}
	if freeMiB > 0 {
		hw.GPUs = []GPU{{Memory: Memory{TotalBytes: freeMiB*MiB + 200*MiB, FreeBytes: freeMiB * MiB}}}
	}
	r := NewRequest(hw)
	r.MarginBytes = 256 * MiB
	r.CUDAContextBytes = 457 * MiB
	r.KeepContext, r.KeepBatch = true, true
	return r
}

func (r Request) with(t testing.TB, llm, embedder string) Request {
	t.Helper()
	find := func(name string) *Model {
		m, ok := Lookup(name)
		if !ok {
			t.Fatalf("%s is not in the catalogue", name)
		}
		return &m
	}
	if llm != "" {
		r.Chat, r.KeepChat = find(llm), true
	}
	if embedder != "none" {
		r.Embedder, r.KeepEmbedder = find(embedder), true
	}
	return r
}

// TestGoldenTable is vram.md §5.4. Its q8_0 columns leave out 16 MiB of scratch, which changes one cell: 12 for 13.
func TestGoldenTable(t *testing.T) {
	rows := []struct {
		free          int64
		embedder      string
		embedderBatch int
		want          [4]int // f16 batch 512, f16 256, q8_0 512, q8_0 256
	}{
		{6001, "none", 2048, [4]int{29, 29, 29, 29}},
		{6001, "nomic-embed-text", 2048, [4]int{26, 27, 27, 28}},
		{6001, "bge-m3", 2048, [4]int{24, 25, 25, 26}},
		{6001, "bge-m3", 8192, [4]int{22, 23, 23, 24}},
		{5150, "none", 2048, [4]int{25, 26, 27, 28}},
		{5150, "nomic-embed-text", 2048, [4]int{20, 21, 21, 22}},
		{5150, "bge-m3", 2048, [4]int{18, 19, 19, 20}},
		{5150, "bge-m3", 8192, [4]int{16, 17, 17, 18}},
		{3950, "none", 2048, [4]int{17, 18, 18, 19}},
		{3950, "nomic-embed-text", 2048, [4]int{12, 13, 12, 14}},
		{3950, "bge-m3", 2048, [4]int{10, 11, 10, 11}},
		{3200, "none", 2048, [4]int{12, 13, 13, 14}},
		{3200, "nomic-embed-text", 2048, [4]int{7, 8, 7, 8}},
		{3200, "bge-m3", 2048, [4]int{5, 6, 5, 6}},
		{7100, "bge-m3", 8192, [4]int{29, 29, 29, 29}},
		{7100, "nomic-embed-text", 2048, [4]int{29, 29, 29, 29}},
		{11000, "bge-m3", 2048, [4]int{29, 29, 29, 29}},
		{23000, "bge-m3", 8192, [4]int{29, 29, 29, 29}},
		{0, "nomic-embed-text", 2048, [4]int{0, 0, 0, 0}},
	}
	columns := []struct {
		kv    KVType
		batch int
	}{{F16, 512}, {F16, 256}, {Q8, 512}, {Q8, 256}}
	for _, row := range rows {
		for i, c := range columns {
			r := described("linux", row.free).with(t, "qwen2.5:7b", row.embedder)
			r.EmbedderBatch, r.KV, r.Batch = row.embedderBatch, c.kv, c.batch
			plan := Fit(r)
			if got := plan.Roles[Chat].NumGPU; got != row.want[i] {
				t.Errorf("%d MiB, %s %d, %s %d: num_gpu %d, want %d", row.free, row.embedder, row.embedderBatch, c.kv, c.batch, got, row.want[i])
			}
			r.Ollama = "0.17.4"
			older := row.want[i] - 1 // the first generation leaves the output layer out, unless all of it fits
			if row.want[i] == 29 || row.want[i] == 0 {
				older = row.want[i]
			}
			if got := Fit(r).Roles[Chat].NumGPU; got != older && (row.free != 3950 || c.kv != Q8) {
				t.Errorf("%d MiB, %s %d, %s %d: num_gpu %d for Ollama 0.17, want %d", row.free, row.embedder, row.embedderBatch, c.kv, c.batch, got, older)
			}
		}
	}
}

func TestModesAndSums(t *testing.T) {
	for _, c := range []struct {
		free int64
		mode Mode
	}{{0, ModeCPU}, {6001, ModeHybrid}, {11000, ModeGPU}} {
		plan := Fit(described("linux", c.free).with(t, "qwen2.5:7b", "nomic-embed-text"))
		if plan.Mode != c.mode || !plan.Fits {
			t.Errorf("%d MiB: mode %s, fits %v; want %s", c.free, plan.Mode, plan.Fits, c.mode)
		}
		if len(plan.Why) < 3 {
			t.Errorf("%d MiB: %d lines explain it", c.free, len(plan.Why))
		}
	}
}

// TestPolicies: what happens to models that the user did not name where fewer than a third of the layers fit, and
// what is only said where he did.
func TestPolicies(t *testing.T) {
	small := []Model{}
	for _, name := range []string{"llama3.2:3b", "deepseek-r1:1.5b"} {
		m, _ := Lookup(name)
		small = append(small, m)
	}
	request := func(free int64, embedder string, keepChat, keepEmbedder bool) Request {
		r := described("linux", free).with(t, "qwen2.5:7b", embedder)
		r.KeepChat, r.KeepEmbedder, r.Smaller = keepChat, keepEmbedder, small
		return r
	}
	for _, c := range []struct {
		name      string
		request   Request
		chat      string
		embedding Device
		offloaded int
		warning   string
	}{
		{"named: nothing moves, something is said", request(3200, "bge-m3", true, true), "qwen2.5:7b", OnGPU, 4, "only 4 of the 28 layers"},
		{"the embedder goes to the CPU", request(3200, "bge-m3", true, false), "qwen2.5:7b", OnCPU, 11, ""},
		{"a smaller model fits as a whole", request(3950, "bge-m3", false, false), "deepseek-r1:1.5b", OnGPU, 28, "takes its place"},
		{"enough layers: no policy", request(3950, "nomic-embed-text", false, false), "qwen2.5:7b", OnGPU, 11, ""},
		{"no room for the embedder at all", request(900, "bge-m3", true, true), "qwen2.5:7b", OnCPU, 0, "does not fit on the GPU"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := Fit(c.request)
			chat, embedding := plan.Roles[Chat], plan.Roles[Embedding]
			if chat.Model != c.chat || chat.Offloaded != c.offloaded || embedding.Device != c.embedding {
				t.Errorf("%s with %d layers, embedder on the %s; want %s with %d, %s\n%s", chat.Model, chat.Offloaded, embedding.Device, c.chat, c.offloaded, c.embedding, strings.Join(plan.Why, "\n"))
			}
			warned := strings.Join(plan.Warnings, "\n")
			if c.warning == "" && warned != "" || !strings.Contains(warned, c.warning) {
				t.Errorf("warnings %q, want %q", warned, c.warning)
			}
		})
	}
}

// TestGrowth: what is left of a large card goes to the embedder's batch, then to the context, unless the user named them.
func TestGrowth(t *testing.T) {
	r := described("linux", 23000).with(t, "qwen2.5:7b", "bge-m3")
	kept := Fit(r)
	r.KeepContext, r.KeepBatch = false, false
	grown := Fit(r)
	if got := kept.Roles[Chat].NumCtx; got != 8192 {
		t.Errorf("context %d, named 8192", got)
	}
	if chat, embedding := grown.Roles[Chat], grown.Roles[Embedding]; chat.NumCtx != 32768 || embedding.NumBatch != 8192 {
		t.Errorf("context %d and batch %d, want what the models were trained for: 32768 and 8192", chat.NumCtx, embedding.NumBatch)
	}
	r = described("linux", 7100).with(t, "qwen2.5:7b", "bge-m3")
	r.KeepContext, r.KeepBatch = false, false
	if plan := Fit(r); plan.Roles[Chat].NumCtx < 8192 || plan.GPU.UsedBytes > plan.GPU.Lendable() {
		t.Errorf("context %d, %d of %d bytes", plan.Roles[Chat].NumCtx, plan.GPU.UsedBytes, plan.GPU.Lendable())
	}
}

// TestUnknownBandwidth: what a prediction assumes is said, until there is a measurement in its place.
func TestUnknownBandwidth(t *testing.T) {
	r := described("linux", 6001).with(t, "qwen2.5:7b", "nomic-embed-text")
	card := &r.Hardware.GPUs[0]
	card.Name, card.MaxMemoryMHz = "NVIDIA H100 80GB HBM3", 2619
	const said = "the memory bandwidth of NVIDIA H100 80GB HBM3 is not known, so 168 GB/s"
	if why := strings.Join(Fit(r).Why, "\n"); !strings.Contains(why, said) {
		t.Errorf("not said: %s", why)
	}
	card.BusBits = 5120
	if why := strings.Join(Fit(r).Why, "\n"); strings.Contains(why, said) {
		t.Errorf("it is known: %s", why)
	}
	card.BusBits = 0
	r.Learned.Speeds = map[string]float64{speedKey("qwen2.5:7b", 25): 60}
	if why := strings.Join(Fit(r).Why, "\n"); strings.Contains(why, said) {
		t.Errorf("it was measured: %s", why)
	}
}

// TestPreflight: on 8 GB Ollama's own check may unload an embedder that fits (vram.md §1.6).
func TestPreflight(t *testing.T) {
	r := described("linux", 7100).with(t, "qwen2.5:7b", "bge-m3")
	r.EmbedderBatch = 8192
	if w := strings.Join(Fit(r).Warnings, "\n"); !strings.Contains(w, "Ollama asks for 4914 MiB") || !strings.Contains(w, "of 4597 that are free") {
		t.Errorf("warnings: %s", w)
	}
	r.Ollama = "0.17.4"
	if w := Fit(r).Warnings; len(w) != 0 {
		t.Errorf("the first generation has no such check: %v", w)
	}
}

// TestLaws holds on random machines: more memory never means fewer layers, more
// context never more, and the sum always fits.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		system := rapid.SampledFrom([]string{"linux", "windows"}).Draw(t, "os")
		r := described(system, rapid.Int64Range(300, 26000).Draw(t, "free"))
		m, _ := Lookup(rapid.SampledFrom([]string{"qwen2.5:7b", "qwen2.5:14b", "llama3.2:3b", "gemma2:9b", "phi4:14b"}).Draw(t, "llm"))
		r.Chat, r.KeepChat = &m, true
		if name := rapid.SampledFrom([]string{"none", "nomic-embed-text", "bge-m3"}).Draw(t, "embedder"); name != "none" {
			e, _ := Lookup(name)
			r.Embedder, r.KeepEmbedder = &e, true
		}
		r.KV = rapid.SampledFrom([]KVType{F16, Q8, Q4}).Draw(t, "kv")
		r.Batch = rapid.SampledFrom([]int{128, 256, 512, 1024}).Draw(t, "batch")
		r.Context = rapid.IntRange(512, 32768).Draw(t, "context")
		r.NoFlash = rapid.Bool().Draw(t, "no flash")
		r.Ollama = rapid.SampledFrom([]string{"0.17.4", "0.30.0"}).Draw(t, "ollama")
		plan := Fit(r)
		layers := plan.Roles[Chat].Offloaded
		if plan.GPU.UsedBytes > plan.GPU.Lendable() || !plan.Fits {
			t.Fatalf("%d bytes of %d", plan.GPU.UsedBytes, plan.GPU.Lendable())
		}
		more := r
		more.Hardware.GPUs = slices.Clone(r.Hardware.GPUs)
		more.Hardware.GPUs[0].FreeBytes += rapid.Int64Range(1, 4096).Draw(t, "more") * MiB
		// Where the embedder does not fit at all it computes on the CPU, and its share falls to the model.
		if Fit(more).Roles[Embedding].Device == plan.Roles[Embedding].Device && Fit(more).Roles[Chat].Offloaded < layers {
			t.Fatal("more memory, fewer layers")
		}
		longer := r
		longer.Context += rapid.IntRange(1, 32768).Draw(t, "longer")
		if Fit(longer).Roles[Chat].Offloaded > layers {
			t.Fatal("more context, more layers")
		}
	})
}
