// Package hwplan decides which model runs where, and lends out the memory.
//
// [Detector] reads what the machine has. [Estimate] says what a model takes at a
// context and a number of offloaded layers. [Fit] chooses, for every role that
// needs a model, device, layers and batch, so that the embedder and the language
// model stay in the VRAM together. A [Planner] keeps that plan true while the
// program runs: it lends the memory of one plan in turns, compares what was
// planned with what was measured, and plans anew when they differ.
//
// Bytes are counted in int64 and named so; MiB is 2^20. The formulas and the
// figures they are checked against are those of llama.cpp and Ollama, measured:
// each names its source where it stands.
package hwplan

// Units of memory, in bytes.
const (
	MiB int64 = 1 << 20
	GiB int64 = 1 << 30
)

// A Role is a job that needs a model.
type Role string

// The roles, in the order in which they are served when memory is short.
const (
	Chat          Role = "chat"
	Embedding     Role = "embedding"
	Reranking     Role = "reranking"
	Transcription Role = "transcription"
	OCR           Role = "ocr"
	Captions      Role = "captions"
)

// A Device is where a model computes.
type Device string

// The devices. Hybrid is a model with some of its layers on the GPU and the rest on the CPU.
const (
	OnGPU    Device = "gpu"
	OnHybrid Device = "hybrid"
	OnCPU    Device = "cpu"
	OnNPU    Device = "npu"
)

// A KVType is the number format of the key-value cache. Ollama has one for all its models (OLLAMA_KV_CACHE_TYPE).
type KVType string

// The formats of the KV cache that Ollama knows.
const (
	F16 KVType = "f16"
	Q8  KVType = "q8_0"
	Q4  KVType = "q4_0"
)

// A Generation is how an Ollama counts num_gpu and lays a model out. Ollama 0.30
// gave up its own runners for llama-server.
type Generation int

// The generations of Ollama. Where r repeating layers of L go to the GPU, the
// first sends r (and L+1 for all of them with the output layer), the second r+1,
// of which one is the output layer.
const (
	Gen1 Generation = 1 // before 0.30
	Gen2 Generation = 2 // 0.30 and later
)

// A Model is what a plan must know of a model.
type Model struct {
	Name         string // as its engine calls it
	Roles        []Role
	Architecture string // as in GGUF: qwen2, llama, gemma2, bert, nomic-bert …
	Quantization string // Q4_K_M, F16 …

	Layers         int // repeating
	Embedding      int // n_embd, the width of the hidden state
	Heads, KVHeads int
	HeadDim        int
	FeedForward    int // n_ff
	Vocabulary     int // rows of token_embd
	Gated          bool
	Tied           bool // the output layer is the token embedding: both RAM and VRAM then hold it
	SlidingWindow  int  // tokens that every second layer sees; 0: all see all
	TrainedContext int  // tokens

	LayerBytes    []int64 // weights of each repeating layer
	LargestMatrix []int64 // bytes of the largest weight matrix of each repeating layer
	OutputBytes   int64   // output layer with its norm (of a tied model: the copy)
	VisionBytes   int64   // encoder of images, with its way into the model; 0: it sees none
	InputBytes    int64   // embeddings of tokens, positions and types: always in RAM
	FileBytes     int64   // of its download; from tensors alone: without tokenizer and template, which add some MB

	License    string
	Commercial bool // the licence lets a business use it
	Thinking   bool // a reasoning model
	// QueryPrefix and PassagePrefix are what an embedder wants before a question and before a passage.
	QueryPrefix, PassagePrefix string
}

// Decoder reports whether the model has a KV cache and writes text.
func (m Model) Decoder() bool { return m.KVHeads > 0 }

// Settings are what a model is loaded with.
type Settings struct {
	// Offload is how many repeating layers compute on the GPU, from 0 (all on the CPU, no VRAM at all) to Model.Layers
	// (all, with the output layer).
	Offload     int
	Context     int // tokens, num_ctx
	Batch       int // tokens, num_batch: logical and physical batch at once
	KV          KVType
	NoFlash     bool // flash attention is off
	Generation  Generation
	CUDAContext int64 // bytes of the runner's own CUDA context, counted where Offload > 0
}

// A Footprint is what a loaded model takes, in bytes. The first four are VRAM.
type Footprint struct {
	Weights int64 `json:"weights_bytes"`
	KV      int64 `json:"kv_bytes"`
	Compute int64 `json:"compute_bytes"`
	Context int64 `json:"cuda_context_bytes"`
	RAM     int64 `json:"ram_bytes"`
}

// VRAM is the footprint on the GPU.
func (f Footprint) VRAM() int64 { return f.Weights + f.KV + f.Compute + f.Context }

// A Speed is a predicted rate of answer tokens per second, as a band.
type Speed struct {
	Low     float64 `json:"low"`
	Nominal float64 `json:"nominal"`
	High    float64 `json:"high"`
}

// Hardware is what a machine has, as far as it matters to models. What is not known is zero.
type Hardware struct {
	OS   string `json:"os"` // as runtime.GOOS
	CPU  CPU    `json:"cpu"`
	RAM  Memory `json:"ram"`
	GPUs []GPU  `json:"gpus"`
	// OtherGPU says that there is a card, AMD's or Apple's, which the engine uses though its memory is not read here.
	OtherGPU bool   `json:"other_gpu"`
	NPU      *NPU   `json:"npu,omitempty"`
	Power    Power  `json:"power"`
	Disk     Memory `json:"disk"` // where the data directory is
	// Notes say, in a sentence each, why something is not known.
	Notes []string `json:"notes"`
}

// A CPU is a machine's processors, taken together.
type CPU struct {
	Model            string   `json:"model"`
	Cores            int      `json:"cores"`             // physical
	PerformanceCores int      `json:"performance_cores"` // of these; all of them where there is one kind
	Threads          int      `json:"threads"`
	SIMD             []string `json:"simd"` // AVX2, AVX512F, NEON …
}

// Memory is a size and what is free of it.
type Memory struct {
	TotalBytes int64 `json:"total_bytes"`
	FreeBytes  int64 `json:"free_bytes"` // for RAM: what can be had without swapping
}

// A GPU is one graphics card and its state.
type GPU struct {
	Index  int    `json:"index"`
	UUID   string `json:"uuid,omitempty"`
	Name   string `json:"name"`
	Driver string `json:"driver"`
	Memory
	UsedBytes int64 `json:"used_bytes"` // with what the driver keeps for itself by NVML, without it by nvidia-smi
	BusBits   int   `json:"bus_bits,omitempty"`

	MemoryMHz    int `json:"memory_mhz,omitempty"`
	MaxMemoryMHz int `json:"max_memory_mhz,omitempty"`
	SMMHz        int `json:"sm_mhz,omitempty"`
	MaxSMMHz     int `json:"max_sm_mhz,omitempty"`

	TemperatureC int      `json:"temperature_c,omitempty"`
	SlowdownC    int      `json:"slowdown_c,omitempty"` // where the driver begins to lower the clocks
	PowerW       float64  `json:"power_w,omitempty"`
	PowerLimitW  float64  `json:"power_limit_w,omitempty"`
	Utilization  int      `json:"utilization_percent"`
	Throttle     []string `json:"throttle"` // why its clocks are lowered: thermal, power …
}

// Bandwidth is the card's memory bandwidth in bytes per second, of its memory
// clock and bus: two transfers a clock; 0 where either is unknown.
func (g GPU) Bandwidth() float64 {
	return float64(g.MaxMemoryMHz) * 1e6 * 2 * float64(g.BusBits) / 8
}

// An NPU is a neural processor. Ollama does not use it; transcription can.
type NPU struct {
	Name   string `json:"name"`
	Driver string `json:"driver"` // "" where the device has none
	Path   string `json:"path,omitempty"`
}

// Power is what the machine runs on.
type Power struct {
	Battery   bool `json:"battery"`    // it has one
	OnBattery bool `json:"on_battery"` // and runs on it
	Percent   int  `json:"percent,omitempty"`
}

// A Plan says which model runs where, on one machine.
type Plan struct {
	Mode Mode `json:"mode"`
	// Fits says that all of it is inside the free VRAM less the margin, and inside the RAM.
	Fits   bool   `json:"fits"`
	Engine string `json:"ollama"` // version of Ollama whose num_gpu it speaks
	GPU    Budget `json:"gpu"`
	RAM    Budget `json:"ram"`
	// Roles are resident: loaded at start, and kept. What they take adds up. Lent are those that come in turns, in
	// the place of others.
	Roles    map[Role]Placement `json:"roles"`
	Lent     map[Role]Placement `json:"lent"`
	Why      []string           `json:"why"`      // each decision with its arithmetic
	Warnings []string           `json:"warnings"` // what is worse than it could be, and what would mend it
}

// Placement is the role's, resident or lent.
func (p Plan) Placement(role Role) (Placement, bool) {
	if placement, ok := p.Roles[role]; ok {
		return placement, true
	}
	placement, ok := p.Lent[role]
	return placement, ok
}

// placement is the zero one where there is none.
func (p Plan) placement(role Role) Placement {
	placement, _ := p.Placement(role)
	return placement
}

// A Mode is how the language model computes.
type Mode string

// The modes.
const (
	ModeGPU    Mode = "gpu"
	ModeHybrid Mode = "hybrid"
	ModeCPU    Mode = "cpu"
)

// A Budget is one device's memory.
type Budget struct {
	Name        string `json:"name,omitempty"`
	TotalBytes  int64  `json:"total_bytes"`
	FreeBytes   int64  `json:"free_bytes"`   // when the plan was made, without our own models
	MarginBytes int64  `json:"margin_bytes"` // left alone
	UsedBytes   int64  `json:"used_bytes"`   // by the plan's resident models
}

// Lendable is what grants may add up to.
func (b Budget) Lendable() int64 { return max(0, b.FreeBytes-b.MarginBytes) }

// A Placement is one model on one device, with what its engine is sent.
type Placement struct {
	Model     string `json:"model"`
	InPlaceOf string `json:"in_place_of,omitempty"` // the configured model, which did not load on this machine
	Engine    string `json:"engine,omitempty"`      // ollama, surya, faster-whisper …
	Device    Device `json:"device"`
	// NumGPU is the option num_gpu as the engine's generation counts it; -1 leaves the choice to the engine.
	NumGPU      int       `json:"num_gpu"`
	Layers      int       `json:"layers,omitempty"`    // of the model
	Offloaded   int       `json:"offloaded,omitempty"` // repeating layers on the GPU
	NumCtx      int       `json:"num_ctx,omitempty"`
	NumBatch    int       `json:"num_batch,omitempty"`
	NumThread   int       `json:"num_thread,omitempty"` // 0 leaves the choice to the engine
	MainGPU     *int      `json:"main_gpu,omitempty"`   // index of the card; not sent where there is one only
	KVType      KVType    `json:"kv_type,omitempty"`
	ComputeType string    `json:"compute_type,omitempty"`     // of CTranslate2: int8, int8_float16
	Batch       int       `json:"batch,omitempty"`            // of a sidecar: items at once
	VRAMBytes   int64     `json:"vram_bytes"`                 // with the CUDA context of its own process
	RAMBytes    int64     `json:"ram_bytes"`                  // after the first text
	GrowthBytes int64     `json:"ram_growth_bytes,omitempty"` // RAM that it may take besides, with use
	Parts       Footprint `json:"parts"`
	Speed       *Speed    `json:"tokens_per_s,omitempty"`
}
