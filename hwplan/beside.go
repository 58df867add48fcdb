package hwplan

const (
	// pairTokens is what a cross-encoder reads at once: a question with the longest passage.
	pairTokens = 1024
	// imageTokens is the context for describing an image, which is some 1000 tokens itself, and captionBatch its batch.
	imageTokens, captionBatch = 4096, 512
	// imageBuffers are the intermediate results of an image encoder. An assumption: nobody has measured them.
	imageBuffers = 512 * MiB
)

// rerankerFootprint is that of llama.cpp's own server, which runs cross-encoders as Ollama does not.
func (f *fitter) rerankerFootprint(onGPU bool) Footprint {
	n := min(pairTokens, trained(f.Reranker))
	s := Settings{Context: n, Batch: n, Generation: Gen2, CUDAContext: f.cudaContext(f.card)}
	if onGPU {
		s.Offload = f.Reranker.Layers
	}
	return Estimate(*f.Reranker, s)
}

// besideOnGPU reports whether the reranker fits on the card beside the layout, which gives up no layer for it.
func (f *fitter) besideOnGPU(l layout) bool {
	return f.Reranker != nil && f.hasCard && f.vram(l)+f.rerankerFootprint(true).VRAM() <= f.plan.GPU.Lendable()
}

// placeReranker keeps the reranker loaded: between a question and its answer there is no time to load it in turns.
func (f *fitter) placeReranker(l layout) {
	m, e := f.Reranker, f.rerankerFootprint(l.rerankerOnGPU)
	n := min(pairTokens, trained(m))
	p := Placement{
		Model: m.Name, Engine: "llama-server", Device: OnCPU, Layers: m.Layers, NumCtx: n, NumBatch: n, NumThread: f.threads(),
		VRAMBytes: e.VRAM(), RAMBytes: e.RAM, Parts: e,
	}
	speed := predictEmbedding(*m, l.rerankerOnGPU, f.bandwidth(f.card), f.Hardware.CPU)
	p.Speed = &speed
	switch {
	case l.rerankerOnGPU:
		p.Device, p.Offloaded, p.NumGPU, p.MainGPU = OnGPU, m.Layers, Gen2.NumGPU(m.Layers, m.Layers), f.mainGPU()
		f.why("reranking: %s on the GPU, in what the others leave: %d MiB of weights + %d of buffers for %d tokens + %d of its CUDA context = %d MiB",
			p.Model, mib(e.Weights), mib(e.Compute), n, mib(e.Context), mib(e.VRAM()))
	case f.hasCard:
		f.why("reranking: %s on the CPU: it would take %d MiB of the GPU, and the others leave %d; it takes %d MiB of RAM",
			p.Model, mib(f.rerankerFootprint(true).VRAM()), mib(f.plan.GPU.Lendable()-f.vram(l)), mib(p.RAMBytes))
	default:
		f.why("reranking: %s on the CPU: %d MiB of RAM", p.Model, mib(p.RAMBytes))
	}
	f.plan.Roles[Reranking] = p
}

// lendCaptions places the model that describes images: in turns with the language model, as nobody waits for it.
func (f *fitter) lendCaptions(l layout) {
	m := f.Captions
	s := Settings{
		Offload: m.Layers, Context: min(imageTokens, trained(m)), Batch: captionBatch, KV: f.KV, NoFlash: f.NoFlash,
		Generation: f.generation, CUDAContext: f.cudaContext(f.card),
	}
	e := Estimate(*m, s)
	e.Compute += imageBuffers
	p := Placement{
		Model: m.Name, Engine: "ollama", Device: OnGPU, Layers: m.Layers, Offloaded: m.Layers, NumGPU: f.generation.NumGPU(m.Layers, m.Layers),
		NumCtx: s.Context, NumBatch: s.Batch, NumThread: f.threads(), KVType: f.KV, MainGPU: f.mainGPU(),
	}
	if f.hasCard && e.VRAM() <= f.room(l) {
		f.why("captions: %s on the GPU in turns with the language model: %d MiB of weights + %d of KV cache + %d of buffers + %d of its CUDA context = %d MiB",
			p.Model, mib(e.Weights), mib(e.KV), mib(e.Compute), mib(e.Context), mib(e.VRAM()))
	} else {
		s.Offload = 0
		e = Estimate(*m, s)
		e.RAM += imageBuffers
		p.Device, p.Offloaded, p.NumGPU, p.MainGPU = OnCPU, 0, 0, nil
		p.RAMBytes = e.RAM
		f.withoutCard(Captions, &p)
	}
	p.VRAMBytes, p.RAMBytes, p.Parts = e.VRAM(), e.RAM, e
	speed := predict(*m, s, s.Context/2, f.bandwidth(f.card))
	p.Speed = &speed
	f.plan.Lent[Captions] = p
}
