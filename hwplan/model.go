package hwplan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
)

// FromTensors is the exact model behind Ollama's /api/show: info is its
// model_info, with keys as in GGUF and numbers as float64, tensors its list of
// tensors. It says what is missing or impossible in an error. Licence, prefixes,
// thinking and some roles are not told by Ollama; they are those of [Lookup], where it knows name.
func FromTensors(name string, info map[string]any, tensors []Tensor) (Model, error) {
	m, err := fromTensors(info, tensors)
	if err != nil {
		return Model{}, fmt.Errorf("model %.80q: %w", name, err)
	}
	m.Name = name
	if like, ok := Lookup(name); ok {
		m.License, m.Commercial, m.Thinking = like.License, like.Commercial, like.Thinking
		m.QueryPrefix, m.PassagePrefix = like.QueryPrefix, like.PassagePrefix
		// Not every file of a reranker says what it is for, and an image encoder may be in a file of its own.
		m.Roles = like.Roles
		m.VisionBytes = max(m.VisionBytes, like.VisionBytes)
	}
	return m, nil
}

func fromTensors(info map[string]any, tensors []Tensor) (Model, error) {
	arch, _ := info["general.architecture"].(string)
	if arch == "" {
		return Model{}, errors.New("no general.architecture")
	}
	g := gguf{arch: arch, info: info, tensors: tensors}
	m := Model{Architecture: arch, Roles: g.roles(), Quantization: g.quantization()}
	m.License, _ = info["general.license"].(string)
	if err := g.dimensions(&m); err != nil {
		return Model{}, err
	}
	return m, m.weigh(tensors)
}

// What no real model reaches. The estimate multiplies several of these, in int64.
const (
	maxContext   = 1 << 24
	maxDimension = 1 << 20
)

// gguf reads a model's header. Ollama empties arrays of more than five entries,
// so that what a layer-by-layer header said is read from the tensors' shapes.
type gguf struct {
	arch    string
	info    map[string]any
	tensors []Tensor
}

// number is the value of <architecture>.key; of an array, its largest. It is 0 where there is none.
func (g gguf) number(key string) (int, error) {
	values, ok := g.info[g.arch+"."+key].([]any)
	if !ok {
		values = []any{g.info[g.arch+"."+key]}
	}
	largest := 0
	for _, v := range values {
		if v == nil {
			continue
		}
		f, ok := v.(float64)
		if !ok || f < 0 || f > maxContext || f != math.Trunc(f) {
			return 0, fmt.Errorf("%.60s.%s is %.40q", g.arch, key, fmt.Sprint(v))
		}
		largest = max(largest, int(f))
	}
	return largest, nil
}

// width is the largest size along one dimension of a part, over all layers; 0 where no layer has it.
func (g gguf) width(part string, dimension int) int {
	widest := int64(0)
	for _, t := range g.tensors {
		if t.part() == part && dimension < len(t.Shape) {
			widest = max(widest, t.Shape[dimension])
		}
	}
	return int(min(widest, maxDimension+1))
}

// dimensions fills in the numbers that a model cannot do without.
func (g gguf) dimensions(m *Model) error {
	values := map[string]int{}
	for _, key := range []string{"block_count", "embedding_length", "context_length", "attention.head_count", "attention.head_count_kv",
		"attention.key_length", "attention.value_length", "attention.sliding_window", "feed_forward_length"} {
		n, err := g.number(key)
		if err != nil {
			return err
		}
		values[key] = n
	}
	m.Layers, m.Embedding, m.TrainedContext = values["block_count"], values["embedding_length"], values["context_length"]
	m.HeadDim = max(values["attention.key_length"], values["attention.value_length"])
	m.FeedForward = cmp.Or(values["feed_forward_length"], g.width("ffn_down.weight", 0), g.width("ffn_down_exps.weight", 0))
	m.Vocabulary = g.width(tokenEmbedding, 1)
	m.Gated = g.width("ffn_gate.weight", 1) > 0 || g.width("ffn_gate_exps.weight", 1) > 0 || g.width("ffn_up.weight", 1) == 2*m.FeedForward
	if everySecond[g.arch] {
		m.SlidingWindow = values["attention.sliding_window"]
	}
	if m.Layers > len(g.tensors) {
		return fmt.Errorf("%d layers in %d tensors", m.Layers, len(g.tensors))
	}
	g.heads(m, values["attention.head_count"], values["attention.head_count_kv"])
	return m.complete()
}

// heads fills in the attention heads. A header may count them layer by layer, or leave out what follows from the rest.
func (g gguf) heads(m *Model, heads, kvHeads int) {
	if m.HeadDim == 0 && heads > 0 {
		m.HeadDim = m.Embedding / heads
	}
	if m.HeadDim == 0 {
		return
	}
	m.Heads = cmp.Or(heads, g.width("attn_q.weight", 1)/m.HeadDim)
	if !encoder(g.arch) {
		m.KVHeads = cmp.Or(kvHeads, g.width("attn_k.weight", 1)/m.HeadDim, m.Heads)
	}
}

// complete reports what is missing.
func (m Model) complete() error {
	for _, d := range []struct {
		name         string
		value, limit int
	}{
		{"number of layers", m.Layers, maxDimension}, {"embedding length", m.Embedding, maxDimension}, {"trained context", m.TrainedContext, maxContext},
		{"number of attention heads", m.Heads, maxDimension}, {"head dimension", m.HeadDim, maxDimension},
		{"feed-forward length", m.FeedForward, maxDimension}, {"vocabulary", m.Vocabulary, maxDimension},
	} {
		if d.value < 1 || d.value > d.limit {
			return fmt.Errorf("its %s is not known: %d", d.name, d.value)
		}
	}
	// The KV cache holds both together for every token.
	if m.KVHeads > maxDimension/m.HeadDim || m.Heads > maxDimension/m.HeadDim {
		return fmt.Errorf("%d and %d attention heads of %d are too many", m.Heads, m.KVHeads, m.HeadDim)
	}
	return nil
}

// everySecond names the architectures in which at least every second layer sees
// a window only. Others name a window in their header, and llama.cpp gives each layer a full cache all the same.
var everySecond = map[string]bool{"gemma2": true, "gemma3": true, "gemma3n": true, "gpt-oss": true, "gptoss": true, "cohere2": true}

// encoder reports whether an architecture reads a text at once, without a KV cache.
func encoder(arch string) bool {
	return strings.Contains(arch, "bert") || arch == "gemma-embedding"
}

// rankPooling is llama.cpp's LLAMA_POOLING_TYPE_RANK.
const rankPooling = 4.0

// roles are what a model can be used for: Ollama, too, tells an embedder by its pooling.
func (g gguf) roles() []Role {
	pooling := g.info[g.arch+".pooling_type"]
	switch {
	case pooling == rankPooling:
		return []Role{Reranking}
	case pooling != nil || encoder(g.arch):
		return []Role{Embedding}
	case g.info[g.arch+".vision.block_count"] != nil:
		return []Role{Chat, Captions}
	}
	return []Role{Chat}
}

// fileTypes are the names of llama.cpp's LLAMA_FTYPE numbers.
var fileTypes = map[float64]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L",
	14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
	23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
}

// quantization is the name of the file's mix of types, "" where it is not known.
func (g gguf) quantization() string {
	n, ok := g.info["general.file_type"].(float64)
	if !ok {
		return ""
	}
	return fileTypes[n]
}
