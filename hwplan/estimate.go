package hwplan

// Symbols of the comments below, as in vram.md §3: L layers, D embedding width,
// H heads, K key-value heads, h head dimension, F feed-forward width, V
// vocabulary, c tokens of context, u tokens of a batch, r layers on the GPU.
// Activations are float32, 4 bytes. "Measured" are figures of llama.cpp's own log.

const (
	// hostBuffers are a batch's inputs and results, in pinned RAM, where the model computes on the GPU. Measured: 18 to 46 MiB (§3.6).
	hostBuffers = 46 * MiB
	// runnerProcess is the runner itself, without a model. Measured, with what follows, on runners of both generations
	// after their first text: 0.5B, 1.5B, multilingual-e5-small within 6 %.
	runnerProcess = 20 * MiB
	// What a tokenizer takes of RAM for each entry of its vocabulary: byte-pair, and the unigram one of XLM-RoBERTa
	// (bge-m3, multilingual-e5), which of all encoders have a large vocabulary.
	entryBytes, unigramEntryBytes = 280, 545
	largeVocabulary               = 100_000
)

// Estimate is what m takes when it is loaded with s. Weights and KV cache are
// exact; the compute buffer is never more than some MiB below what was measured,
// and up to 80 MiB above (§3.3). An embedder goes to the GPU whole, for any Offload over 0.
//
// One more layer on the GPU never takes less VRAM, and neither does a longer context.
func Estimate(m Model, s Settings) Footprint {
	s = s.within(m)
	gpu, cpu := m.weights(s)
	f := Footprint{RAM: m.InputBytes + cpu + m.process()}
	if m.Tied && !m.outputOnGPU(s) {
		f.RAM -= m.OutputBytes // the token embedding serves as both
	}
	for layer := range m.Layers {
		kv := m.kvBytes(layer, m.cells(layer, s), s.KV)
		if m.onGPU(layer, s) {
			f.KV += kv
		} else {
			f.RAM += kv
		}
	}
	if s.Offload == 0 {
		f.RAM += m.computeCPU(s) + m.VisionBytes
		return f
	}
	f.RAM += hostBuffers
	f.Weights, f.Compute, f.Context = gpu+m.VisionBytes, m.compute(s), s.CUDAContext
	return f
}

// process is what a runner takes of RAM beside the model's numbers.
func (m Model) process() int64 {
	entry := int64(entryBytes)
	if !m.Decoder() && m.Vocabulary > largeVocabulary {
		entry = unigramEntryBytes
	}
	return runnerProcess + entry*int64(m.Vocabulary)
}

// computeCPU is the buffer of intermediate results where all layers are on the
// CPU. Logits are made for the last token only (§3.3 has them for all, as the GPU's buffer). Equal to what the
// log of Ollama 0.32.15 prints, to 0.05 MiB, at batches of 320 and 512:
//
//	decoder: 4*u*(3F + 5D) + 2*u*c
//	encoder: 4*u*(k*F + 5D) + 2*u*u, k = 3 if gated, else 1
func (m Model) computeCPU(s Settings) int64 {
	u, d, f := int64(s.Batch), int64(m.Embedding), int64(m.FeedForward)
	if !m.Decoder() {
		return m.encoderCompute(s) + 4*u*3*d
	}
	c := 4*u*(3*f+5*d) + 2*u*int64(padded(s.Context))
	if s.NoFlash {
		c = max(c, m.activations(s))
	}
	return c
}

// within brings Offload into the range that m has; an encoder goes as a whole.
func (s Settings) within(m Model) Settings {
	s.Offload = min(max(s.Offload, 0), m.Layers)
	if s.Offload > 0 && !m.Decoder() {
		s.Offload = m.Layers
	}
	return s
}

// onGPU: the last r layers go to the GPU, in both generations (§0).
func (m Model) onGPU(layer int, s Settings) bool { return layer >= m.Layers-s.Offload }

// outputOnGPU: the first generation sends the output layer last, the second first (§0).
func (m Model) outputOnGPU(s Settings) bool {
	return s.Offload > 0 && (s.Generation != Gen1 || s.Offload == m.Layers)
}

// weights shares the bytes of layers and output between the devices (§3.1):
//
//	W(r) = output + sum of the last r layers
func (m Model) weights(s Settings) (gpu, cpu int64) {
	for layer, b := range m.LayerBytes {
		if m.onGPU(layer, s) {
			gpu += b
		} else {
			cpu += b
		}
	}
	if m.outputOnGPU(s) {
		return gpu + m.OutputBytes, cpu
	}
	return gpu, cpu + m.OutputBytes
}

// cellsPadding is what llama.cpp rounds a cache's length up to (§3.2).
const cellsPadding = 256

func padded(cells int) int { return (cells + cellsPadding - 1) / cellsPadding * cellsPadding }

// windowed: of a model with a sliding window every second layer sees only that.
func (m Model) windowed(layer int) bool { return m.SlidingWindow > 0 && layer%2 == 0 }

// cells is how many tokens a layer's cache holds (§3.2): of a windowed layer the window and one batch.
func (m Model) cells(layer int, s Settings) int {
	if m.windowed(layer) {
		return padded(min(s.Context, m.SlidingWindow+s.Batch))
	}
	return padded(s.Context)
}

// kvBytes is the size of one layer's keys and values for so many tokens (§3.2; exact), 0 without a cache:
//
//	2 * c * K * h * bytes of a number
func (m Model) kvBytes(layer, cells int, kv KVType) int64 {
	numbers := 2 * int64(cells) * int64(m.KVHeads) * int64(m.HeadDim)
	switch kv {
	case Q8:
		return numbers * 34 / 32
	case Q4:
		return numbers * 18 / 32
	}
	return numbers * 2
}

// compute is the buffer of the graph's intermediate results on the device that computes (§3.3, §3.4).
func (m Model) compute(s Settings) int64 {
	if !m.Decoder() {
		return m.encoderCompute(s)
	}
	u, d := int64(s.Batch), int64(m.Embedding)
	act := m.activations(s)
	whole := max(4*u*(int64(m.Vocabulary)+2*d), act)
	switch {
	case s.Offload == 0 || s.Offload == m.Layers:
		return whole + m.scratch(s)
	case s.Generation == Gen1:
		// The output layer stays in RAM and is staged on the GPU; without its norm, of D floats.
		return max(4*u*(int64(m.Vocabulary)+d)+m.OutputBytes-4*d, act+m.staged(s)) + m.scratch(s)
	}
	return max(whole, act+m.staged(s)) + m.scratch(s)
}

// activations are a layer's, in float32 (§3.3):
//
//	feed-forward:              u * (3F + 3D)
//	attention, if not flash:   u * (c*(H+1) + 3D + 2*K*h)
func (m Model) activations(s Settings) int64 {
	u, d := int64(s.Batch), int64(m.Embedding)
	forward := 4 * u * (3*int64(m.FeedForward) + 3*d)
	if !s.NoFlash {
		return forward
	}
	attention := 4 * u * (int64(padded(s.Context))*int64(m.Heads+1) + 3*d + 2*int64(m.KVHeads)*int64(m.HeadDim))
	return max(forward, attention)
}

// staged is what is copied to the GPU while it computes the layers of the CPU
// for a long input, one after the other: their largest matrix and their KV cache (§3.3).
// The cache is copied as it is stored; what it is decoded to is [Model.scratch].
func (m Model) staged(s Settings) int64 {
	var weights, cache int64
	for layer := range m.Layers - s.Offload {
		weights = max(weights, m.LargestMatrix[layer])
		cache = max(cache, m.kvBytes(layer, m.cells(layer, s), s.KV))
	}
	return weights + cache
}

// scratch is where one layer's quantised cache is decoded to float16 (§3.3): 4*c*K*h.
func (m Model) scratch(s Settings) int64 {
	if s.KV != Q8 && s.KV != Q4 {
		return 0
	}
	return m.kvBytes(0, padded(s.Context), F16)
}

// encoderCompute is the buffer of a BERT (§3.4; exact), which reads a batch at once:
//
//	4*u*(k*F + 2*D) + 2*u*u, k = 3 if gated, else 1; and 4*u*u*H if attention is not flash
func (m Model) encoderCompute(s Settings) int64 {
	u, k := int64(s.Batch), int64(1)
	if m.Gated {
		k = 3
	}
	c := 4*u*(k*int64(m.FeedForward)+2*int64(m.Embedding)) + 2*u*u
	if s.NoFlash {
		c += 4 * u * u * int64(m.Heads)
	}
	return c
}
