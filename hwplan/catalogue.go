package hwplan

import (
	_ "embed" // the catalogue
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// The catalogue holds dimensions, not sizes: a model's bytes follow from them
// and its quantisation, and the rows' tensor_bytes, found independently, check that.
//
//go:embed catalogue.json
var catalogueJSON []byte

// row is a model in catalogue.json. Source: vram.md §4; of rerankers and models that see, their published configurations.
type row struct {
	Name         string   `json:"name"`
	Aliases      []string `json:"aliases"` // other tags of the same file
	Architecture string   `json:"architecture"`
	Quantization string   `json:"quantization"`

	Layers        int    `json:"layers"`
	Embedding     int    `json:"embedding"`
	Heads         int    `json:"heads"`
	KVHeads       int    `json:"kv_heads"`
	HeadDim       int    `json:"head_dim"`
	FeedForward   int    `json:"feed_forward"`
	Vocabulary    int    `json:"vocabulary"`
	Context       int    `json:"context"`
	Gated         bool   `json:"gated"` // of an encoder; decoders are, but for phi2
	Tied          bool   `json:"tied"`
	SlidingWindow int    `json:"sliding_window"`
	RopeFactors   int    `json:"rope_factors"`  // floats of a rotary scaling kept as a tensor
	Positions     int    `json:"positions"`     // rows of position_embd; 0: the model has none
	PositionType  string `json:"position_type"` // "": F32
	Types         int    `json:"types"`         // rows of token_types

	TensorBytes   int64  `json:"tensor_bytes"` // of all its tensors; 0: not known from elsewhere
	FileBytes     int64  `json:"file_bytes"`   // as Ollama lists it; 0: not known
	VisionBytes   int64  `json:"vision_bytes"` // of its image encoder, in 16 bits; not in tensor_bytes
	Roles         []Role `json:"roles"`
	Thinking      bool   `json:"thinking"`
	License       string `json:"license"`
	Commercial    bool   `json:"commercial"`
	QueryPrefix   string `json:"query_prefix"`
	PassagePrefix string `json:"passage_prefix"`
}

// model computes the row's sizes.
func (r row) model() (Model, error) {
	m := Model{
		Name: r.Name, Roles: r.Roles, Architecture: r.Architecture, Quantization: r.Quantization,
		Layers: r.Layers, Embedding: r.Embedding, Heads: r.Heads, KVHeads: r.KVHeads, HeadDim: r.HeadDim, FeedForward: r.FeedForward,
		Vocabulary: r.Vocabulary, Gated: r.Gated || !encoder(r.Architecture) && r.Architecture != "phi2", SlidingWindow: r.SlidingWindow, TrainedContext: r.Context,
		License: r.License, Commercial: r.Commercial, Thinking: r.Thinking, QueryPrefix: r.QueryPrefix, PassagePrefix: r.PassagePrefix,
	}
	if err := m.weigh(r.tensors()); err != nil {
		return Model{}, fmt.Errorf("model %q: %w", r.Name, err)
	}
	m.VisionBytes = r.VisionBytes
	m.FileBytes = max(m.FileBytes+r.VisionBytes, r.FileBytes)
	return m, nil
}

func rows() ([]row, error) {
	var list []row
	err := json.Unmarshal(catalogueJSON, &list)
	return list, err
}

// known is the catalogue, and its index by every name.
type known struct {
	models []Model
	byName map[string]Model
}

// catalogue reads what is embedded; that it can be read is tested.
var catalogue = sync.OnceValue(func() known {
	list, err := rows()
	if err != nil {
		panic("hwplan: catalogue.json: " + err.Error())
	}
	c := known{byName: map[string]Model{}}
	for _, r := range list {
		m, err := r.model()
		if err != nil {
			panic("hwplan: catalogue.json: " + err.Error())
		}
		c.models = append(c.models, m)
		for _, name := range append(r.Aliases, r.Name) {
			c.byName[canonical(name)] = m
		}
	}
	return c
})

// Catalogue is the list of models that are known without asking Ollama. Their slices are shared: change none.
func Catalogue() []Model { return slices.Clone(catalogue().models) }

// Lookup finds a model of [Catalogue] by any of its tags, in capitals or not.
// As for Ollama, no tag is the tag latest, and its own registry may be named or
// not. The model found has the name it was asked for by.
func Lookup(name string) (Model, bool) {
	m, ok := catalogue().byName[canonical(name)]
	if ok {
		m.Name = name
	}
	return m, ok
}

// canonical is the one spelling of a model's name.
func canonical(name string) string {
	name = strings.ToLower(name)
	name = strings.TrimPrefix(name, "registry.ollama.ai/")
	name = strings.TrimPrefix(name, "library/")
	if !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":latest"
	}
	return name
}
