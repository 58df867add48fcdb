package hwplan

// Bandwidth is what memory can deliver, in bytes per second, as its data sheet
// has it. Where one is not known (0), that of the machine the constants were
// found on is taken: see predict.
type Bandwidth struct {
	GPU, CPU float64
}

// The nominal bandwidths of vram.md §6: GDDR6 at 14 Gbps on the 96 bits of a
// laptop's RTX 3050 6 GB, and LPDDR5x-7467 on 128 bits.
const (
	nominalGPU = 168e9
	nominalCPU = 119.5e9
)

// efficiency is which part of the bandwidth is reached on either device, and what a token costs besides.
type efficiency struct{ gpu, cpu, seconds float64 }

// predict is how fast m answers when it is loaded with s and position tokens are
// in its context. To write a token is to read all weights and the KV cache once,
// each device its own, one after the other (§6):
//
//	seconds = G/(GPU*eg) + C/(CPU*ec) + t0
//
// The band is about ±30 % around it. Its low end is the same card with memory at
// 12 Gbps in place of 14, as some laptops have it.
//
// An embedder writes nothing: its speed is 0. Where all layers are on the CPU
// the GPU's bandwidth does not matter.
func predict(m Model, s Settings, position int, b Bandwidth) Speed {
	if !m.Decoder() {
		return Speed{}
	}
	gpu, cpu := m.read(s.within(m), position)
	if b.GPU <= 0 {
		b.GPU = nominalGPU
	}
	if b.CPU <= 0 {
		b.CPU = nominalCPU
	}
	rate := func(e efficiency) float64 {
		return 1 / (float64(gpu)/(b.GPU*e.gpu) + float64(cpu)/(b.CPU*e.cpu) + e.seconds)
	}
	return Speed{
		Low:     rate(efficiency{0.50 * 144 / 168, 0.30, 3e-3}),
		Nominal: rate(efficiency{0.60, 0.38, 1.5e-3}),
		High:    rate(efficiency{0.84, 0.61, 1e-3}), // §6 has 0.55 for the CPU: short of the 8 tokens/s of a 14B that are seen
	}
}

// read is how many bytes each device reads for one token. The token embedding is not: one row of it is.
func (m Model) read(s Settings, position int) (gpu, cpu int64) {
	gpu, cpu = m.weights(s)
	for layer := range m.Layers {
		tokens := max(0, position)
		if m.windowed(layer) {
			tokens = min(tokens, m.SlidingWindow)
		}
		kv := m.kvBytes(layer, tokens, s.KV)
		if m.onGPU(layer, s) {
			gpu += kv
		} else {
			cpu += kv
		}
	}
	return gpu, cpu
}

// What reading texts reaches, in operations a second. On the target laptop's
// card 2043 tokens/s were measured of a prompt for 4.0e9 parameters (vram.md §6);
// the small matrices of an embedder are taken to reach a quarter of that. On two
// cores of a server 1000 tokens/s were measured of multilingual-e5-small (2.1e7).
const (
	cardOperations = 2 * 4.0e9 * 2043 / 4
	coreOperations = 2 * 2.1e7 * 1000 / 2
)

// predictEmbedding is how many tokens of passages m embeds in a second. Reading
// is bound by arithmetic: two operations a parameter and token. A card is taken
// to compute as much more than the target laptop's as its memory is faster. The
// band is wide, by half and twice: what is measured takes its place.
func predictEmbedding(m Model, onGPU bool, b Bandwidth, cpu CPU) Speed {
	parameters := float64(m.parameters())
	if parameters == 0 {
		return Speed{}
	}
	operations := coreOperations * float64(max(1, cpu.PerformanceCores, cpu.Cores/2))
	if onGPU {
		operations = cardOperations
		if b.GPU > 0 {
			operations *= b.GPU / nominalGPU
		}
	}
	rate := operations / (2 * parameters)
	return Speed{Low: rate / 2, Nominal: rate, High: 2 * rate}
}

// parameters of the layers, which each token passes.
func (m Model) parameters() int64 {
	d, f := int64(m.Embedding), int64(m.FeedForward)
	forward := 2 * d * f
	if m.Gated {
		forward = 3 * d * f
	}
	return int64(m.Layers) * (4*d*d + forward)
}
