package hwplan

import (
	"cmp"
	"fmt"
	"strings"
)

// tensors lists what llama.cpp's converter and quantizer make of a model of the
// row's dimensions: the names and shapes of its architecture, with the types of
// its quantisation. Source: vram.md §3.1; `src/llama-quant.cpp` llama_tensor_get_type.
func (r row) tensors() []Tensor {
	list := r.ends()
	for layer := range r.Layers {
		for _, p := range r.layer() {
			list = append(list, Tensor{Name: fmt.Sprintf("blk.%d.%s", layer, p.name), Type: r.typeOf(p, layer), Shape: p.shape})
		}
	}
	return list
}

// part is one tensor of a layer. A vector (norm, bias) has one dimension.
type part struct {
	name  string
	shape []int64
}

func matrix(name string, in, out int) part {
	return part{name + ".weight", []int64{int64(in), int64(out)}}
}

func vector(name string, n int) part { return part{name, []int64{int64(n)}} }

// ends are the tensors before and after the repeating layers.
func (r row) ends() []Tensor {
	embedding, output := matrix("token_embd", r.Embedding, r.Vocabulary), matrix("output", r.Embedding, r.Vocabulary)
	norm := []int64{int64(r.Embedding)}
	if encoder(r.Architecture) {
		list := []Tensor{
			{Name: embedding.name, Type: r.typeOf(embedding, 0), Shape: embedding.shape},
			{Name: "token_types.weight", Type: "F32", Shape: []int64{int64(r.Embedding), int64(r.Types)}},
			{Name: "token_embd_norm.weight", Type: "F32", Shape: norm},
			{Name: "token_embd_norm.bias", Type: "F32", Shape: norm},
		}
		if r.Positions > 0 {
			list = append(list, Tensor{Name: "position_embd.weight", Type: cmp.Or(r.PositionType, "F32"), Shape: []int64{int64(r.Embedding), int64(r.Positions)}})
		}
		return list
	}
	list := []Tensor{{Name: "output_norm.weight", Type: "F32", Shape: norm}}
	if r.RopeFactors > 0 {
		list = append(list, Tensor{Name: "rope_freqs.weight", Type: "F32", Shape: []int64{int64(r.RopeFactors)}})
	}
	if r.Tied { // one tensor serves as both, and is quantised as an output layer
		return append(list, Tensor{Name: embedding.name, Type: r.typeOf(output, 0), Shape: embedding.shape})
	}
	return append(list,
		Tensor{Name: embedding.name, Type: r.typeOf(embedding, 0), Shape: embedding.shape},
		Tensor{Name: output.name, Type: r.typeOf(output, 0), Shape: output.shape})
}

// layer are the tensors of one repeating layer.
func (r row) layer() []part {
	d, f := r.Embedding, r.FeedForward
	q, kv := r.Heads*r.HeadDim, r.KVHeads*r.HeadDim
	switch r.Architecture {
	case "bert":
		return append(r.encoderEnd(),
			matrix("attn_q", d, d), matrix("attn_k", d, d), matrix("attn_v", d, d), matrix("attn_output", d, d),
			matrix("ffn_up", d, f), matrix("ffn_down", f, d),
			vector("attn_q.bias", d), vector("attn_k.bias", d), vector("attn_v.bias", d), vector("attn_output.bias", d),
			vector("ffn_up.bias", f), vector("ffn_down.bias", d))
	case "nomic-bert":
		return append(r.encoderEnd(),
			matrix("attn_qkv", d, 3*d), matrix("attn_output", d, d), matrix("ffn_gate", d, f), matrix("ffn_up", d, f), matrix("ffn_down", f, d))
	case "phi2":
		return []part{
			matrix("attn_qkv", d, q+2*kv), matrix("attn_output", q, d), matrix("ffn_up", d, f), matrix("ffn_down", f, d),
			vector("attn_norm.weight", d), vector("attn_norm.bias", d), vector("attn_qkv.bias", q+2*kv), vector("attn_output.bias", d),
			vector("ffn_up.bias", f), vector("ffn_down.bias", d),
		}
	case "phi3":
		return []part{
			matrix("attn_qkv", d, q+2*kv), matrix("attn_output", q, d), matrix("ffn_up", d, 2*f), matrix("ffn_down", f, d),
			vector("attn_norm.weight", d), vector("ffn_norm.weight", d),
		}
	}
	parts := []part{
		matrix("attn_q", d, q), matrix("attn_k", d, kv), matrix("attn_v", d, kv), matrix("attn_output", q, d),
		matrix("ffn_gate", d, f), matrix("ffn_up", d, f), matrix("ffn_down", f, d),
		vector("attn_norm.weight", d), vector("ffn_norm.weight", d),
	}
	switch r.Architecture {
	case "qwen2":
		parts = append(parts, vector("attn_q.bias", q), vector("attn_k.bias", kv), vector("attn_v.bias", kv))
	case "qwen3", "qwen3vl":
		parts = append(parts, vector("attn_q_norm.weight", r.HeadDim), vector("attn_k_norm.weight", r.HeadDim))
	case "gemma2":
		parts = append(parts, vector("post_attention_norm.weight", d), vector("post_ffw_norm.weight", d))
	}
	return parts
}

// encoderEnd are the norms that close the two halves of a BERT layer.
func (r row) encoderEnd() []part {
	d := r.Embedding
	return []part{
		vector("attn_output_norm.weight", d), vector("attn_output_norm.bias", d), vector("layer_output_norm.weight", d), vector("layer_output_norm.bias", d),
	}
}

// typeOf is the type that the row's quantisation gives a tensor.
func (r row) typeOf(p part, layer int) string {
	if len(p.shape) == 1 {
		return "F32"
	}
	name := strings.TrimSuffix(p.name, ".weight")
	switch r.Quantization {
	case "Q4_K_M":
		return fallback(r.q4km(name, layer), p.shape[0])
	case "Q2_K":
		return fallback(r.q2k(name), p.shape[0])
	case "Q4_0":
		if name == "output" {
			return fallback("Q6_K", p.shape[0])
		}
	}
	return r.Quantization
}

// q4km is the mix of Q4_K_M: half of the layers have their values and the way down in Q6_K.
func (r row) q4km(name string, layer int) string {
	eighth := r.Layers / 8
	high := layer < eighth || layer >= 7*r.Layers/8 || (layer-eighth)%3 == 2
	switch {
	case name == "output", high && (name == "attn_v" || name == "ffn_down"):
		return "Q6_K"
	case name == "attn_qkv", name == "attn_v" && r.Layers == layersOf70B:
		return "Q5_K"
	}
	return "Q4_K"
}

// q2k is the mix of Q2_K.
func (r row) q2k(name string) string {
	switch {
	case name == "output":
		return "Q6_K"
	case name == "attn_v" && r.Layers == layersOf70B:
		return "Q5_K"
	case name == "attn_v" && r.Heads >= 4*r.KVHeads:
		return "Q4_K"
	case name == "attn_v", name == "ffn_down", name == "attn_output":
		return "Q3_K"
	}
	return "Q2_K"
}

// layersOf70B tells llama.cpp a 70B, whose eight query heads to a value head make better values cheap.
const layersOf70B = 80

// fallback is the type that takes the place of one whose blocks do not divide a row.
func fallback(kind string, rowLength int64) string {
	if rowLength%blocks[kind].weights == 0 {
		return kind
	}
	switch kind {
	case "Q6_K":
		return "Q8_0"
	case "Q5_K":
		return "Q5_1"
	case "Q4_K":
		return "Q5_0"
	}
	return "IQ4_NL" // for Q2_K and Q3_K
}
