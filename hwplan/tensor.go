package hwplan

import (
	"fmt"
	"strconv"
	"strings"
)

// A Tensor is one tensor of a GGUF file, as Ollama's /api/show lists it.
type Tensor struct {
	Name  string
	Type  string  // F32, Q4_K …
	Shape []int64 // the first is the length of a row
}

// maxBytes is more than any model has. It keeps sums of hostile sizes from overflowing.
const maxBytes int64 = 1 << 50

// blocks holds, for every type of ggml, how many weights make a block and how many bytes a block takes.
// Source: vram.md §3.1; the rest: ggml's type traits, as in Ollama's fs/ggml.
var blocks = map[string]struct{ weights, bytes int64 }{
	"F64": {1, 8}, "F32": {1, 4}, "F16": {1, 2}, "BF16": {1, 2},
	"I64": {1, 8}, "I32": {1, 4}, "I16": {1, 2}, "I8": {1, 1},
	"Q4_0": {32, 18}, "Q4_1": {32, 20}, "Q5_0": {32, 22}, "Q5_1": {32, 24}, "Q8_0": {32, 34}, "Q8_1": {32, 36},
	"Q2_K": {256, 84}, "Q3_K": {256, 110}, "Q4_K": {256, 144}, "Q5_K": {256, 176}, "Q6_K": {256, 210}, "Q8_K": {256, 292},
	"IQ1_S": {256, 50}, "IQ1_M": {256, 56}, "IQ2_XXS": {256, 66}, "IQ2_XS": {256, 74}, "IQ2_S": {256, 82},
	"IQ3_XXS": {256, 98}, "IQ3_S": {256, 110}, "IQ4_XS": {256, 136}, "IQ4_NL": {32, 18},
	"TQ1_0": {256, 54}, "TQ2_0": {256, 66}, "MXFP4": {32, 17}, "NVFP4": {64, 36}, "Q1_0": {128, 18},
}

// bytes is the size of the tensor's data: whole blocks, row by row.
func (t Tensor) bytes() (int64, error) {
	block, ok := blocks[strings.ToUpper(t.Type)]
	if !ok {
		return 0, fmt.Errorf("tensor %.60q has the unknown type %.20q", t.Name, t.Type)
	}
	if len(t.Shape) == 0 || len(t.Shape) > 4 {
		return 0, fmt.Errorf("tensor %.60q has %d dimensions", t.Name, len(t.Shape))
	}
	weights := int64(1)
	for _, n := range t.Shape {
		if n < 1 || n > maxBytes/weights {
			return 0, fmt.Errorf("tensor %.60q has the impossible shape %v", t.Name, t.Shape)
		}
		weights *= n
	}
	if t.Shape[0]%block.weights != 0 {
		return 0, fmt.Errorf("tensor %.60q has rows of %d weights, which are no blocks of %s", t.Name, t.Shape[0], t.Type)
	}
	// Both factors are bounded: 2^50 weights of at most 8 bytes.
	return weights / block.weights * block.bytes, nil
}

// layer is the number of the repeating layer that the tensor belongs to. A
// number that cannot be read is -1.
func (t Tensor) layer() (n int, ok bool) {
	rest, ok := strings.CutPrefix(t.Name, "blk.")
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1, true
	}
	return n, true
}

// part is the name without its layer: attn_k.weight.
func (t Tensor) part() string {
	if rest, ok := strings.CutPrefix(t.Name, "blk."); ok {
		_, part, _ := strings.Cut(rest, ".")
		return part
	}
	return t.Name
}

// The tensors that llama.cpp looks rows up in. It keeps them in RAM whatever is offloaded.
const tokenEmbedding = "token_embd.weight"

var inputs = map[string]bool{tokenEmbedding: true, "position_embd.weight": true, "token_types.weight": true}

// weigh shares the tensors' bytes out among layers, input and output. The
// model's Layers must not exceed the number of tensors.
func (m *Model) weigh(tensors []Tensor) error {
	m.LayerBytes, m.LargestMatrix = make([]int64, m.Layers), make([]int64, m.Layers)
	var embedding int64
	m.Tied = m.Decoder()
	for _, t := range tensors {
		b, err := t.bytes()
		if err != nil {
			return err
		}
		if m.FileBytes += b; m.FileBytes > maxBytes {
			return fmt.Errorf("the tensors take more than %d TiB", maxBytes>>40)
		}
		if t.Name == tokenEmbedding {
			embedding = b
		}
		if t.Name == "output.weight" {
			m.Tied = false
		}
		if err := m.place(t, b); err != nil {
			return err
		}
	}
	if m.Tied {
		m.OutputBytes += embedding
	}
	for i, b := range m.LayerBytes {
		if b == 0 {
			return fmt.Errorf("layer %d of %d has no tensors", i, m.Layers)
		}
	}
	return nil
}

// place adds b bytes of tensor t to where llama.cpp puts it.
func (m *Model) place(t Tensor, b int64) error {
	layer, ok := t.layer()
	switch {
	case ok && (layer < 0 || layer >= m.Layers):
		return fmt.Errorf("tensor %.60q is in none of %d layers", t.Name, m.Layers)
	case ok:
		m.LayerBytes[layer] += b
		if strings.HasSuffix(t.Name, ".weight") {
			m.LargestMatrix[layer] = max(m.LargestMatrix[layer], b)
		}
	case strings.HasPrefix(t.Name, "v.") || strings.HasPrefix(t.Name, "mm."):
		m.VisionBytes += b
	case inputs[t.Name]:
		m.InputBytes += b
	case strings.HasPrefix(t.Name, "token_embd_norm."):
		// llama.cpp does this norm on the device of the first layer: bge-m3 has 577.23 MiB there, not 577.22.
		m.LayerBytes[0] += b
	default:
		// The output layer, and what is not known: better counted on the GPU than forgotten there.
		m.OutputBytes += b
	}
	return nil
}
