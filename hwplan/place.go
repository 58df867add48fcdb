package hwplan

import "fmt"

// place turns a layout into placements and says why they are so.
func (f *fitter) place(l layout) {
	if f.Embedder != nil {
		f.placeEmbedder(l)
	}
	if l.chat != nil {
		f.placeChat(l)
	}
	if f.Reranker != nil {
		f.placeReranker(l)
	}
}

func (f *fitter) placeEmbedder(l layout) {
	e := f.embedderFootprint(l.embedderBatch, l.embedderOnGPU)
	p := Placement{
		Model: f.Embedder.Name, Engine: "ollama", Device: OnCPU, Layers: f.Embedder.Layers, NumCtx: l.embedderBatch, NumBatch: l.embedderBatch,
		NumThread: f.threads(), VRAMBytes: e.VRAM(), RAMBytes: e.RAM, GrowthBytes: encoderGrowth, Parts: e,
	}
	if l.embedderOnGPU {
		p.Device, p.Offloaded, p.MainGPU = OnGPU, f.Embedder.Layers, f.mainGPU()
		p.NumGPU = f.generation.NumGPU(p.Offloaded, p.Layers)
		f.why("embedding: %s on the GPU: %d MiB of weights + %d of buffers for batches of %d tokens + %d of its CUDA context = %d MiB",
			p.Model, mib(e.Weights), mib(e.Compute+e.KV), p.NumBatch, mib(e.Context), mib(e.VRAM()))
	} else {
		f.withoutCard(Embedding, &p)
		if f.hasCard && f.KeepEmbedder {
			f.warn("%s does not fit on the GPU: it computes on the CPU", p.Model)
		}
	}
	speed := predictEmbedding(*f.Embedder, l.embedderOnGPU, f.bandwidth(f.card), f.Hardware.CPU)
	p.Speed = &speed
	f.plan.Roles[Embedding] = p
}

func (f *fitter) placeChat(l layout) {
	m, e := l.chat, f.chatFootprint(l.chat, l.offload, l.context)
	p := Placement{
		Model: m.Name, Engine: "ollama", Device: OnCPU, Layers: m.Layers, Offloaded: l.offload,
		NumGPU: f.generation.NumGPU(l.offload, m.Layers), NumCtx: l.context, NumBatch: f.Batch, NumThread: f.threads(), KVType: f.KV,
		VRAMBytes: e.VRAM(), RAMBytes: e.RAM, Parts: e,
	}
	if f.generation == Gen2 {
		p.GrowthBytes = promptCache
	}
	if f.InPlaceOf != nil {
		p.InPlaceOf = f.InPlaceOf.Name
		f.warn("%s answers in the place of %s, which could not be loaded on this graphics card", m.Name, p.InPlaceOf)
	}
	switch l.offload {
	case 0:
		f.withoutCard(Chat, &p)
	case m.Layers:
		p.Device, f.plan.Mode, p.MainGPU = OnGPU, ModeGPU, f.mainGPU()
		f.whyChat("all "+fmt.Sprint(m.Layers)+" layers", p)
		f.warnPreflight(l)
	default:
		p.Device, f.plan.Mode, p.MainGPU = OnHybrid, ModeHybrid, f.mainGPU()
		f.whyChat(fmt.Sprintf("%d of %d layers", l.offload, m.Layers), p)
		f.whyNotMore(l)
	}
	if l.context < f.Context {
		f.warn("%s was trained for %d tokens of context: it is sent that instead of %d", m.Name, l.context, f.Context)
	}
	speed, measured := f.speed(m, l)
	p.Speed = &speed
	f.why("chat: predicted %.0f to %.0f tokens a second, most likely %.0f", speed.Low, speed.High, speed.Nominal)
	if l.offload > 0 && f.card.Name != "" && f.card.Bandwidth() == 0 && !measured {
		f.why("chat: the memory bandwidth of %s is not known, so %.0f GB/s, that of a laptop's RTX 3050 6 GB, is assumed of it", f.card.Name, nominalGPU/1e9)
	}
	f.plan.Roles[Chat] = p
}

// withoutCard says where a model computes that is not planned on the GPU. Without num_gpu an engine uses what card it has.
func (f *fitter) withoutCard(role Role, p *Placement) {
	if f.hasCard || !f.EngineDecides {
		f.why("%s: %s on the CPU: %d MiB of RAM", role, p.Model, mib(p.RAMBytes))
		return
	}
	p.Device, p.NumGPU = OnAuto, -1
	if role == Chat {
		f.plan.Mode = ModeAuto
	}
	f.why("%s: %s where Ollama puts it: %d MiB in all; its speed is predicted for the CPU, until it is measured", role, p.Model, mib(p.RAMBytes))
}

// whyChat is the arithmetic of the language model on the GPU.
func (f *fitter) whyChat(layers string, p Placement) {
	e := p.Parts
	f.why("chat: %s of %s on the GPU: %d MiB of weights + %d of KV cache (%d tokens, %s) + %d of buffers (batch %d) + %d of its CUDA context = %d MiB",
		layers, p.Model, mib(e.Weights), mib(e.KV), p.NumCtx, p.KVType, mib(e.Compute), p.NumBatch, mib(e.Context), mib(e.VRAM()))
	counting := "with the output layer counted"
	if f.generation == Gen1 && p.Offloaded < p.Layers {
		counting = "the output layer stays out"
	}
	f.why("chat: num_gpu %d for Ollama %s, %s", p.NumGPU, f.Ollama, counting)
}

// whyNotMore says by how much the next layer does not fit.
func (f *fitter) whyNotMore(l layout) {
	left := f.room(l)
	if next := f.chatFootprint(l.chat, l.offload+1, l.context).VRAM(); next > left {
		f.why("chat: %d layers would take %d MiB, and %d are left", l.offload+1, mib(next), mib(left))
	} else {
		f.why("chat: %d layers would fit by the sums, but did not when they were tried", l.offload+1)
	}
}

// warnPreflight says where Ollama's own check would unload the embedder though both fit. From 0.30 on it skips the
// check for a part of the layers only, and wants file and KV cache to fit into 80 % of what is free (vram.md §1.3).
func (f *fitter) warnPreflight(l layout) {
	if f.generation != Gen2 || !l.embedderOnGPU {
		return
	}
	wants := l.chat.FileBytes + 2*int64(l.chat.Layers*l.chat.KVHeads*l.chat.HeadDim)*int64(l.context)*2
	switch {
	case f.Batch >= 2048:
		wants += 2 * GiB
	case f.Batch >= 1024:
		wants += 768 * MiB
	}
	free := f.card.FreeBytes - f.embedderFootprint(l.embedderBatch, true).VRAM()
	if wants > free*8/10 {
		f.warn("Ollama asks for %d MiB before it loads all of %s, of %d that are free beside the embedder, and may unload the embedder for it: if it does, one layer less is loaded, for which it does not ask",
			mib(wants), l.chat.Name, mib(free*8/10))
	}
}

// speed is what was measured, where it was, and else the prediction.
func (f *fitter) speed(m *Model, l layout) (s Speed, measured bool) {
	if rate, ok := f.Learned.Speeds[speedKey(m.Name, l.offload)]; ok {
		return Speed{Low: rate * 0.9, Nominal: rate, High: rate * 1.1}, true
	}
	const position = 2048 // tokens already in the cache: a question with its passages
	return predict(*m, f.chatSettings(l.offload, l.context), min(position, l.context), f.bandwidth(f.card)), false
}

// threads are the performance cores: with more, decoding is slower (facts: 20 threads 3.65 tokens/s, 4 threads
// 6.39). Where they are not known the engine decides.
func (f *fitter) threads() int { return f.Hardware.CPU.PerformanceCores }

// room is what there is of the card once the language model and the reranker have gone.
func (f *fitter) room(l layout) int64 {
	room := f.plan.GPU.Lendable()
	if l.embedderOnGPU {
		room -= f.embedderFootprint(l.embedderBatch, true).VRAM()
	}
	return room
}

// lend places what computes in turns: on the GPU where it fits once the language model has made room.
func (f *fitter) lend(l layout) {
	if f.Captions != nil {
		defer f.lendCaptions(l) // last in the explanation, as in the table
	}
	room := f.room(l)
	for _, j := range f.Lent {
		p := Placement{Model: j.Model, Engine: j.Engine, Device: OnGPU, ComputeType: j.ComputeType, RAMBytes: j.RAMBytes}
		if f.hasCard && j.VRAMBytes > 0 && j.VRAMBytes <= room {
			p.Batch = 1
			for p.Batch < j.MaxBatch && j.VRAMBytes+int64(p.Batch)*j.ItemBytes <= room {
				p.Batch++
			}
			p.VRAMBytes = j.VRAMBytes + int64(p.Batch-1)*j.ItemBytes
			f.why("%s: %s on the GPU in turns with the language model: %d MiB", j.Role, p.Model, mib(p.VRAMBytes))
			f.plan.Lent[j.Role] = p
			continue
		}
		f.plan.Lent[j.Role] = f.withoutGPU(j)
	}
}

// withoutGPU places a job on the NPU, if it can use one, or the CPU.
func (f *fitter) withoutGPU(j Job) Placement {
	c := j
	if j.CPU != nil {
		c = *j.CPU
	}
	p := Placement{Model: c.Model, Engine: c.Engine, Device: OnCPU, ComputeType: c.ComputeType, Batch: 1, NumThread: f.threads(), RAMBytes: c.RAMBytes}
	if npu := f.Hardware.NPU; c.NPU && npu != nil && npu.Driver != "" {
		p.Device, p.Engine = OnNPU, "openvino-genai"
	}
	f.why("%s: %s on the %s", j.Role, p.Model, map[Device]string{OnCPU: "CPU", OnNPU: "NPU"}[p.Device])
	return p
}

const (
	// promptCache is how much RAM a llama-server fills with the KV caches of prompts that it has read (--cache-ram, of
	// which Ollama passes none on up to 0.32; seen by its issue 18264 to come near it after some 30 prompts).
	promptCache = 8192 * MiB
	// encoderGrowth is what the runner of an embedder takes more after hours of work. Measured on multilingual-e5-small
	// only: from 0.2 GB to 0.5 to 0.7, by what its allocator keeps.
	encoderGrowth = 512 * MiB
)

// whyGrowth says what the models take of RAM, and what more with use.
func (f *fitter) whyGrowth(growth int64) {
	switch {
	case growth >= promptCache:
		f.why("RAM: the models take %d MiB, and with use up to %d more, most of it for prompts that Ollama remembers (LLAMA_ARG_CACHE_RAM, in MiB, in its environment bounds them)",
			mib(f.plan.RAM.UsedBytes), mib(growth))
	case growth > 0:
		f.why("RAM: the models take %d MiB, and with use up to %d more", mib(f.plan.RAM.UsedBytes), mib(growth))
	}
}

// warnGrowth says how to bound what a runner remembers of prompts, where the RAM has room for left bytes of it only.
func (f *fitter) warnGrowth(left int64) {
	if f.plan.Roles[Chat].GrowthBytes == 0 {
		f.warn("the models leave little RAM free, and take some more with use")
		return
	}
	const step = 256
	f.warn("Ollama remembers prompts in up to %d MiB of RAM, and there is room for %d: start it with LLAMA_ARG_CACHE_RAM=%d",
		mib(promptCache), max(0, mib(left)), max(0, mib(left)/2/step*step))
}

// judge adds up the resident models.
func (f *fitter) judge() {
	growth := int64(0)
	for _, p := range f.plan.Roles {
		f.plan.GPU.UsedBytes += p.VRAMBytes
		f.plan.RAM.UsedBytes += p.RAMBytes
		growth += p.GrowthBytes
	}
	f.whyGrowth(growth)
	f.plan.Fits = f.plan.GPU.UsedBytes <= f.plan.GPU.Lendable()
	if ram := f.plan.RAM; ram.TotalBytes > 0 && ram.UsedBytes > ram.FreeBytes {
		f.plan.Fits = false
		f.warn("the models take %d MiB of RAM, and %d of %d are free: the machine will swap; choose a smaller model or close other programs",
			mib(ram.UsedBytes), mib(ram.FreeBytes), mib(ram.TotalBytes))
	} else if ram.TotalBytes > 0 && ram.UsedBytes+growth > ram.FreeBytes {
		f.warnGrowth(ram.FreeBytes - ram.UsedBytes - (growth - f.plan.Roles[Chat].GrowthBytes))
	}
	if f.KV != F16 && f.KV != "" && f.Chat != nil {
		f.warn("Ollama takes the type of the KV cache from its own environment: start it with OLLAMA_KV_CACHE_TYPE=%s", f.KV)
	}
}
