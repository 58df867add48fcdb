package hwplan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// A Description is a machine and wishes, in the words of `acervo plan` and of
// POST /api/v1/plan. What is nil or empty is as it is on this machine, or as recommended.
type Description struct {
	GPUTotalBytes    *int64 `json:"gpu_total_bytes,omitempty" doc:"VRAM; 0 for no GPU"`
	GPUFreeBytes     *int64 `json:"gpu_free_bytes,omitempty"`
	RAMBytes         *int64 `json:"ram_bytes,omitempty"`
	Cores            *int   `json:"cores,omitempty" doc:"physical cores"`
	OS               string `json:"os,omitempty" doc:"windows, linux or darwin"`
	LLM              string `json:"llm,omitempty" doc:"a model to keep: it is neither replaced nor moved to another device"`
	Embedder         string `json:"embedder,omitempty" doc:"likewise; none for none"`
	Reranker         string `json:"reranker,omitempty" doc:"a model that orders passages anew; none by default"`
	Captions         string `json:"captions,omitempty" doc:"a model that describes images; none by default"`
	Context          *int   `json:"ctx,omitempty" doc:"tokens"`
	KV               KVType `json:"kv,omitempty" doc:"f16, q8_0 or q4_0"`
	Batch            *int   `json:"batch,omitempty" doc:"tokens"`
	EmbedderBatch    *int   `json:"embedder_batch,omitempty" doc:"tokens"`
	MarginBytes      *int64 `json:"margin_bytes,omitempty" doc:"VRAM to leave alone"`
	CUDAContextBytes *int64 `json:"cuda_context_bytes,omitempty" doc:"VRAM that each process on the GPU takes beside its buffers"`
	Ollama           string `json:"ollama,omitempty" doc:"version whose counting of num_gpu is used"`
}

// What a described machine has where it does not say.
const (
	idleLinux   = 143 * MiB // of VRAM, in use at rest: 6144 in all, 6001 free, with the display on another GPU
	idleWindows = 994 * MiB // the same under Windows, which computes the desktop on the card
	systemRAM   = 4 * GiB   // for the system and other programs, of half the RAM at most
)

// apply returns the request that describes d's machine where it says so, and
// base's for the rest. Find returns the model of a name.
func (d Description) apply(base Request, find func(name string) (Model, error)) (Request, error) {
	if err := d.check(); err != nil {
		return Request{}, err
	}
	r := base
	d.describe(&r)
	if err := d.name(&r, find); err != nil {
		return Request{}, err
	}
	over(&r.Context, d.Context)
	over(&r.Batch, d.Batch)
	over(&r.EmbedderBatch, d.EmbedderBatch)
	over(&r.MarginBytes, d.MarginBytes)
	over(&r.CUDAContextBytes, d.CUDAContextBytes)
	r.KeepContext = r.KeepContext || d.Context != nil
	r.KeepBatch = r.KeepBatch || d.EmbedderBatch != nil
	if d.KV != "" {
		r.KV = d.KV
	}
	if d.Ollama != "" {
		r.Ollama = d.Ollama
	}
	return r, nil
}

func over[T any](value *T, with *T) {
	if with != nil {
		*value = *with
	}
}

// describe puts d's machine in the place of this one's parts. Its other parts, such as an NPU, are not assumed.
func (d Description) describe(r *Request) {
	if d.GPUTotalBytes == nil && d.GPUFreeBytes == nil && d.RAMBytes == nil && d.Cores == nil && d.OS == "" {
		return
	}
	r.KeepChat, r.KeepEmbedder, r.KeepContext = false, false, false // what is configured here need not be there
	if r.InPlaceOf != nil {
		r.Chat, r.InPlaceOf = r.InPlaceOf, nil
	}
	here := r.Hardware
	r.Hardware = Hardware{OS: here.OS, CPU: here.CPU, RAM: here.RAM, GPUs: here.GPUs}
	r.Learned = Learned{}
	if d.OS != "" {
		r.Hardware.OS = d.OS
		r.MarginBytes = DefaultMargin(d.OS)
	}
	if d.Cores != nil {
		r.Hardware.CPU = CPU{Cores: *d.Cores, Threads: *d.Cores}
	}
	if d.RAMBytes != nil {
		r.Hardware.RAM = Memory{TotalBytes: *d.RAMBytes, FreeBytes: *d.RAMBytes - min(systemRAM, *d.RAMBytes/2)}
	}
	switch {
	case d.GPUTotalBytes != nil || d.GPUFreeBytes != nil:
		r.Hardware.GPUs, r.EngineDecides = d.gpus(r.Hardware.OS), false
	case d.OS == "darwin": // this machine's cards are in no Mac
		r.Hardware.GPUs, r.EngineDecides = nil, true
	case d.OS != "" && d.OS != here.OS:
		r.EngineDecides = false
	}
}

// gpus is the one card that d describes, or none.
func (d Description) gpus(system string) []GPU {
	g := GPU{}
	idle := idleLinux
	if system == "windows" {
		idle = idleWindows
	}
	switch {
	case d.GPUTotalBytes == nil:
		g.TotalBytes, g.FreeBytes = *d.GPUFreeBytes, *d.GPUFreeBytes
	case d.GPUFreeBytes == nil:
		g.TotalBytes, g.FreeBytes = *d.GPUTotalBytes, max(0, *d.GPUTotalBytes-idle)
	default:
		g.TotalBytes, g.FreeBytes = *d.GPUTotalBytes, *d.GPUFreeBytes
	}
	if g.TotalBytes == 0 {
		return nil
	}
	g.UsedBytes = g.TotalBytes - g.FreeBytes
	return []GPU{g}
}

// name looks up the models that d names.
func (d Description) name(r *Request, find func(string) (Model, error)) error {
	if d.LLM != "" {
		m, err := find(d.LLM)
		switch {
		case err != nil:
			return err
		case !m.Decoder():
			return fmt.Errorf("%s writes no text: it is for %s", d.LLM, m.Roles[0])
		}
		r.Chat, r.KeepChat, r.InPlaceOf = &m, true, nil
	}
	switch d.Embedder {
	case "":
	case "none":
		r.Embedder = nil
	default:
		m, err := find(d.Embedder)
		switch {
		case err != nil:
			return err
		case !slices.Contains(m.Roles, Embedding):
			return fmt.Errorf("%s is no embedding model", d.Embedder)
		}
		r.Embedder, r.KeepEmbedder = &m, true
	}
	var err error
	if r.Reranker, err = extra(d.Reranker, Reranking, r.Reranker, find); err != nil {
		return err
	}
	r.Captions, err = extra(d.Captions, Captions, r.Captions, find)
	return err
}

// extra is the model of a name for a role that may go without one; base where there is no name.
func extra(name string, role Role, base *Model, find func(string) (Model, error)) (*Model, error) {
	switch name {
	case "":
		return base, nil
	case "none":
		return nil, nil
	}
	m, err := find(name)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(m.Roles, role) {
		return nil, fmt.Errorf("%s cannot be used for %s: it is for %s", name, role, m.Roles[0])
	}
	return &m, nil
}

// Bounds of what can be described: beyond them a number is a slip of the pen.
const (
	mostMemory = 1 << 50 // bytes
	mostTokens = 1 << 24
	mostCores  = 4096
)

var versionLike = regexp.MustCompile(`^v?\d+\.\d+(\.\d+)?([-+.][0-9A-Za-z.-]+)?$`)

// check refuses what no machine can be. The names are those of the flags.
func (d Description) check() error {
	free, total := d.GPUFreeBytes, d.GPUTotalBytes
	errs := []error{
		within("gpu-total", total, 0, mostMemory), within("gpu-free", free, 0, mostMemory), within("ram", d.RAMBytes, 1, mostMemory),
		within("cores", d.Cores, 1, mostCores), within("ctx", d.Context, 1, mostTokens), within("batch", d.Batch, 1, mostTokens),
		within("embedder-batch", d.EmbedderBatch, 1, mostTokens), within("margin", d.MarginBytes, 0, mostMemory),
		within("cuda-context", d.CUDAContextBytes, 1, mostMemory),
	}
	if free != nil && total != nil && *free > *total {
		errs = append(errs, fmt.Errorf("gpu-free (%d MiB) is more than gpu-total (%d MiB)", mib(*free), mib(*total)))
	}
	if d.OS != "" && !slices.Contains([]string{"windows", "linux", "darwin"}, d.OS) {
		errs = append(errs, fmt.Errorf("os is %q; it can be windows, linux or darwin", d.OS))
	}
	if d.KV != "" && !slices.Contains([]KVType{F16, Q8, Q4}, d.KV) {
		errs = append(errs, fmt.Errorf("kv is %q; it can be f16, q8_0 or q4_0", d.KV))
	}
	if d.Ollama != "" && !versionLike.MatchString(d.Ollama) {
		errs = append(errs, fmt.Errorf("ollama is %q; it is a version like 0.30.0", d.Ollama))
	}
	return errors.Join(errs...)
}

func within[T int | int64](name string, value *T, low, high T) error {
	if value != nil && (*value < low || *value > high) {
		return fmt.Errorf("%s is %d; it can be %d to %d", name, *value, low, high)
	}
	return nil
}
