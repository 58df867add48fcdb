package hwplan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A Request is what [Fit] plans for. [NewRequest] fills in what is recommended.
type Request struct {
	Hardware Hardware
	Chat     *Model // nil: no language model
	Embedder *Model // nil: none
	// KeepChat and KeepEmbedder: the user named the model, so it is neither replaced nor moved to another device.
	KeepChat, KeepEmbedder bool
	Smaller                []Model // what may take Chat's place, the best first
	InPlaceOf              *Model  // the configured model, which did not load, where Chat answers in its place
	Reranker               *Model  // orders passages anew before an answer; nil: none
	Captions               *Model  // describes images, in turns with the others; nil: none
	Lent                   []Job   // what else computes in turns with the others

	Context, Batch int // of Chat, in tokens
	EmbedderBatch  int // tokens, both batch and context of Embedder, as it reads a text in one piece
	// KeepContext and KeepBatch: the user named them, so they do not grow where memory is left.
	KeepContext, KeepBatch bool
	KV                     KVType
	NoFlash                bool
	MarginBytes            int64 // of VRAM, left alone
	CUDAContextBytes       int64 // of each process that computes on the GPU; 0: as learned, else [DefaultCUDAContext]
	Ollama                 string
	Learned                Learned
	// EngineDecides where models compute, if there is no card to plan with: it may have one that Acervo does not see.
	EngineDecides bool
}

// OnAuto and ModeAuto say that the engine decides where a model computes.
const (
	OnAuto   Device = "auto"
	ModeAuto Mode   = "auto"
)

// Recommended values.
const (
	DefaultContext       = 8192
	DefaultBatch         = 512
	DefaultEmbedderBatch = 2048
	// DefaultCUDAContext is Ollama's own allowance for a process (MinimumMemory in ml/device.go): an upper bound that
	// is corrected by measuring.
	DefaultCUDAContext = 457 * MiB
	// defaultOllama is whose counting is used where no engine answers.
	defaultOllama = "0.30.0"
)

// NewRequest returns what is recommended for a machine; models are the caller's to name.
func NewRequest(hw Hardware) Request {
	return Request{
		Hardware: hw, Context: DefaultContext, Batch: DefaultBatch, EmbedderBatch: DefaultEmbedderBatch, KV: F16,
		MarginBytes: DefaultMargin(hw.OS), Ollama: defaultOllama, Lent: DefaultJobs(), EngineDecides: unseenCard(hw),
	}
}

// unseenCard reports whether the machine has, or may have, a card that the engine uses though no memory of one is
// known here: Apple's, AMD's, those that share the processor's memory. On Windows only NVIDIA's cards are looked for.
func unseenCard(hw Hardware) bool {
	if len(hw.GPUs) > 0 {
		return !slices.ContainsFunc(hw.GPUs, func(g GPU) bool { return g.TotalBytes > 0 })
	}
	return hw.OtherGPU || hw.OS == "darwin" || hw.OS == "windows"
}

// DefaultMargin is the VRAM that is left alone. On Windows the driver does not
// refuse what is too much, but moves it to the RAM in silence, so it is larger there.
func DefaultMargin(system string) int64 {
	if system == "windows" {
		return 384 * MiB
	}
	return 256 * MiB
}

// generationOf returns how an Ollama of that version counts num_gpu. A version
// that tells nothing, such as the 0.0.0 of one built from source, is taken for a new one.
func generationOf(version string) Generation {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if errA == nil && errB == nil && a == 0 && b > 0 && b < 30 {
		return Gen1
	}
	return Gen2
}

// NumGPU returns the option num_gpu that puts r of a model's repeating layers on the GPU.
func (g Generation) NumGPU(r, layers int) int {
	if r > 0 && (g == Gen2 || r == layers) {
		return r + 1 // the output layer with them
	}
	return r
}

// card is the GPU that is planned with: the one with the most free memory.
func (r Request) card() (GPU, bool) {
	if len(r.Hardware.GPUs) == 0 {
		return GPU{}, false
	}
	best := slices.MaxFunc(r.Hardware.GPUs, func(a, b GPU) int { return cmp.Compare(a.FreeBytes, b.FreeBytes) })
	return best, best.FreeBytes > 0
}

// context is what one process on the card takes beside its buffers.
func (r Request) cudaContext(card GPU) int64 {
	if r.CUDAContextBytes > 0 {
		return r.CUDAContextBytes
	}
	if learned, ok := r.Learned.Contexts[contextKey(card, r.Ollama)]; ok {
		return learned
	}
	return DefaultCUDAContext
}

// bandwidth is what weights are read at.
func (r Request) bandwidth(card GPU) Bandwidth {
	return Bandwidth{GPU: card.Bandwidth()}
}

// A Job is a model beside chat and embedding, which computes in turns with
// them: OCR, transcription, captions. It runs in a process of its own that ends when its work does.
type Job struct {
	Role   Role
	Engine string
	Model  string
	// VRAMBytes is what its process takes on a GPU without its items, CUDA context included, and 0 of one that computes
	// on the CPU only; ItemBytes is for each item of a batch. Both are measured by others and named where they stand; what a run measures takes their place.
	VRAMBytes, ItemBytes int64
	MaxBatch             int
	RAMBytes             int64
	ComputeType          string
	NPU                  bool // an NPU can do it
	CPU                  *Job // what does it where no GPU is lent
}

// DefaultJobs are the engines of perception.
//
// Whisper's figures are those of faster-whisper's issue 1030 (large-v3-turbo,
// int8: 1545 MB on the GPU) and of its README (small, int8: 1477 MB of RAM).
// Surya 2's are an assumption: 650 M parameters in 16 bits, the image encoder,
// 12288 tokens of context and a CUDA context; nobody has measured them yet.
func DefaultJobs() []Job {
	return []Job{
		{
			Role: Transcription, Engine: "faster-whisper", Model: "large-v3-turbo", ComputeType: "int8_float16",
			VRAMBytes: 1545e6, ItemBytes: 400e6, MaxBatch: 4, RAMBytes: 1500e6,
			CPU: &Job{Engine: "faster-whisper", Model: "small", ComputeType: "int8", RAMBytes: 1477e6, NPU: true},
		},
		{
			Role: OCR, Engine: "surya", Model: "surya-2", VRAMBytes: 2600 * MiB, MaxBatch: 1, RAMBytes: 1000e6,
			CPU: &Job{Engine: "rapidocr", Model: "PP-OCRv6", RAMBytes: 700e6},
		},
	}
}
