package hwplan

import (
	"fmt"
	"math"
	"strings"
)

// Fit plans a machine: which model computes where, with how many layers, how
// much context and in what batches. It does no I/O, and the same request gives
// the same plan. For models that are kept, more memory never means fewer
// layers, and more context never more.
//
// The embedder and the language model are resident together, each in a process
// with a CUDA context of its own:
//
//	weights(r) + KV(r) + compute(r) + context ≤ free − margin − embedder
//
// where r, the number of offloaded layers, is the largest that holds it. Where
// fewer than a third of the layers would fit, a smaller model that fits as a
// whole, or the embedder on the CPU, is better.
func Fit(r Request) Plan {
	f := fitter{Request: r, generation: generationOf(r.Ollama)}
	f.plan = Plan{Engine: r.Ollama, Roles: map[Role]Placement{}, Lent: map[Role]Placement{}, Why: []string{}, Warnings: []string{}, Mode: ModeCPU}
	f.card, f.hasCard = r.card()
	f.survey()
	l := f.choose()
	l.rerankerOnGPU = f.besideOnGPU(l)
	if f.hasCard && (l.chat == nil || l.offload == l.chat.Layers) {
		l = f.grow(l)
	}
	f.place(l)
	f.lend(l)
	f.judge()
	return f.plan
}

// A fitter makes one plan.
type fitter struct {
	Request
	generation Generation
	card       GPU
	hasCard    bool
	plan       Plan
}

// A layout is one way to put the resident models.
type layout struct {
	chat          *Model
	offload       int // layers of chat on the GPU
	embedderOnGPU bool
	rerankerOnGPU bool
	context       int
	embedderBatch int
}

// survey says what there is to plan with.
func (f *fitter) survey() {
	f.plan.RAM = Budget{TotalBytes: f.Hardware.RAM.TotalBytes, FreeBytes: f.Hardware.RAM.FreeBytes}
	if !f.hasCard {
		where := "no GPU to plan with: everything computes on the CPU"
		if f.EngineDecides {
			where = "no GPU to plan with: Ollama decides where the models compute, and is sent no num_gpu"
		}
		f.why("%s", strings.Join(append([]string{where}, f.Hardware.Notes...), "; "))
		return
	}
	f.warnSeveral()
	f.plan.GPU = Budget{Name: f.card.Name, TotalBytes: f.card.TotalBytes, FreeBytes: f.card.FreeBytes, MarginBytes: min(f.MarginBytes, f.card.FreeBytes)}
	f.why("GPU%s: %d of %d MiB are free, %d stay free as a margin, which leaves %d to plan with",
		named(f.card.Name), mib(f.card.FreeBytes), mib(f.card.TotalBytes), mib(f.plan.GPU.MarginBytes), mib(f.plan.GPU.Lendable()))
}

// mainGPU is the option main_gpu: sent only where there is a choice, for the second generation then takes that card
// alone, and each option less is one reason less to load a model anew.
func (f *fitter) mainGPU() *int {
	if !f.hasCard || len(f.Hardware.GPUs) < 2 {
		return nil
	}
	return new(f.card.Index)
}

// warnSeveral says which of several cards is planned with. Ollama counts them as CUDA does, which may be the fastest
// first; the driver, whose index this is, by their place on the bus.
func (f *fitter) warnSeveral() {
	n := len(f.Hardware.GPUs)
	if n < 2 {
		return
	}
	which := fmt.Sprintf("there are %d graphics cards: the plan is for number %d%s, which has the most free memory", n, f.card.Index, named(f.card.Name))
	if f.generation == Gen1 {
		f.warn("%s; Ollama %s may use the others too: CUDA_VISIBLE_DEVICES in its environment keeps it to one", which, f.Ollama)
		return
	}
	f.warn("%s: Ollama is sent main_gpu %d, and counts as the driver does if it is started with CUDA_DEVICE_ORDER=PCI_BUS_ID", which, f.card.Index)
}

// choose picks a layout by the policies.
func (f *fitter) choose() layout {
	base := f.layout(f.Chat, true)
	if !f.hasCard || f.Chat == nil || enough(base) {
		return base
	}
	beside := ""
	if base.embedderOnGPU {
		beside = " beside the embedder"
	}
	f.why("policy: only %d of the %d layers of %s fit%s, fewer than a third", base.offload, base.chat.Layers, base.chat.Name, beside)
	if !f.KeepChat {
		for i := range f.Smaller {
			if l := f.layout(&f.Smaller[i], true); l.offload == l.chat.Layers && l.embedderOnGPU == base.embedderOnGPU {
				f.why("policy: %s fits as a whole, and so answers faster", l.chat.Name)
				f.warn("%s would compute almost wholly on the CPU here; %s takes its place", f.Chat.Name, l.chat.Name)
				return l
			}
		}
	}
	if alone := f.layout(f.Chat, false); f.Embedder != nil && !f.KeepEmbedder && enough(alone) {
		f.why("policy: with the embedder on the CPU %d layers fit", alone.offload)
		return alone
	}
	f.warnSmaller(base)
	return base
}

// enough says whether the GPU helps: a third of the layers are on it.
func enough(l layout) bool { return 3*l.offload >= l.chat.Layers }

// warnSmaller says what would be better than a layout whose models the user named.
func (f *fitter) warnSmaller(l layout) {
	better := "a smaller model (--llm)"
	for i := range f.Smaller {
		if s := f.layout(&f.Smaller[i], true); s.offload == s.chat.Layers {
			better = fmt.Sprintf("%s, which fits as a whole (--llm %s)", s.chat.Name, s.chat.Name)
			break
		}
	}
	if l.embedderOnGPU {
		better += ", or an embedder on the CPU,"
	}
	f.warn("only %d of the %d layers of %s fit on the GPU: %s would be faster", l.offload, l.chat.Layers, l.chat.Name, better)
}

// layout puts the embedder on the GPU, if it may and can be there, and as many of the model's layers as fit beside it.
func (f *fitter) layout(chat *Model, embedderOnGPU bool) layout {
	l := layout{chat: chat, context: f.Context, embedderBatch: f.EmbedderBatch}
	if f.Embedder != nil {
		l.embedderBatch = min(l.embedderBatch, trained(f.Embedder))
	}
	if chat != nil {
		l.context = min(l.context, trained(chat))
	}
	if !f.hasCard {
		return l
	}
	left := f.plan.GPU.Lendable()
	if f.Embedder != nil && embedderOnGPU && !f.Learned.embedderOnCPU(f.card, f.Ollama, f.Embedder.Name) {
		if e := f.embedderFootprint(l.embedderBatch, true).VRAM(); e <= left {
			l.embedderOnGPU, left = true, left-e
		}
	}
	if chat != nil {
		l.offload = f.offload(chat, l.context, left)
	}
	return l
}

// offload is the largest number of layers that fits into left bytes. Full offload may take less than
// one layer fewer, which has to stage weights of the CPU, so it is not a search by halves.
func (f *fitter) offload(m *Model, context int, left int64) int {
	for r := min(m.Layers, f.Learned.most(f.card, f.Ollama, m.Name, context, f.Batch)); r > 0; r-- {
		if f.chatFootprint(m, r, context).VRAM() <= left {
			return r
		}
	}
	return 0
}

// grow uses what is left of a card that holds both models as a whole: first for the embedder's batch, then for the context.
func (f *fitter) grow(l layout) layout {
	if l.embedderOnGPU && !f.KeepBatch {
		for wider := l; wider.embedderBatch < trained(f.Embedder); {
			wider.embedderBatch = min(2*wider.embedderBatch, trained(f.Embedder))
			if f.vram(wider) > f.plan.GPU.Lendable() {
				break
			}
			l = wider
		}
	}
	if l.chat != nil && !f.KeepContext {
		const step = 4096
		for longer := l; longer.context+step <= trained(l.chat); {
			longer.context += step
			if f.vram(longer) > f.plan.GPU.Lendable() || f.Learned.most(f.card, f.Ollama, l.chat.Name, longer.context, f.Batch) < l.offload {
				break
			}
			l = longer
		}
	}
	return l
}

// vram is what a layout takes of the card.
func (f *fitter) vram(l layout) int64 {
	sum := int64(0)
	if l.chat != nil {
		sum += f.chatFootprint(l.chat, l.offload, l.context).VRAM()
	}
	if l.embedderOnGPU {
		sum += f.embedderFootprint(l.embedderBatch, true).VRAM()
	}
	if l.rerankerOnGPU {
		sum += f.rerankerFootprint(true).VRAM()
	}
	return sum
}

func (f *fitter) chatFootprint(m *Model, offload, context int) Footprint {
	return Estimate(*m, f.chatSettings(offload, context))
}

func (f *fitter) chatSettings(offload, context int) Settings {
	return Settings{
		Offload: offload, Context: context, Batch: f.Batch, KV: f.KV, NoFlash: f.NoFlash,
		Generation: f.generation, CUDAContext: f.cudaContext(f.card),
	}
}

func (f *fitter) embedderFootprint(batch int, onGPU bool) Footprint {
	s := Settings{Context: batch, Batch: batch, KV: f.KV, NoFlash: f.NoFlash, Generation: f.generation, CUDAContext: f.cudaContext(f.card)}
	if onGPU {
		s.Offload = f.Embedder.Layers
	}
	return Estimate(*f.Embedder, s)
}

// trained is the context that a model was trained for.
func trained(m *Model) int {
	if m.TrainedContext > 0 {
		return m.TrainedContext
	}
	return math.MaxInt32
}

func (f *fitter) why(format string, args ...any) {
	f.plan.Why = append(f.plan.Why, fmt.Sprintf(format, args...))
}

func (f *fitter) warn(format string, args ...any) {
	f.plan.Warnings = append(f.plan.Warnings, fmt.Sprintf(format, args...))
}

// mib rounds bytes to whole MiB for a reader.
func mib(b int64) int64 { return (b + MiB/2) / MiB }

func named(name string) string {
	if name == "" {
		return ""
	}
	return " " + name
}
