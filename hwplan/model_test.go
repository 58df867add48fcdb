package hwplan

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// shown is what FromTensors needs of an answer of /api/show.
type shown struct {
	Info    map[string]any `json:"model_info"`
	Tensors []Tensor       `json:"tensors"`
}

func readShown(t *testing.T, name string) shown {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "show-"+name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var s shown
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Answers of Ollama 0.32.15; the MiB are of its runner's log.
func TestFromTensorsOfOllama(t *testing.T) {
	tests := map[string]struct {
		want Model
		mib  float64 // all weights
	}{
		"qwen2.5-coder-0.5b": {mib: 462.96, want: Model{
			Roles: []Role{Chat}, Architecture: "qwen2", Quantization: "Q4_K_M", Layers: 24, Embedding: 896, Heads: 14, KVHeads: 2, HeadDim: 64,
			FeedForward: 4864, Vocabulary: 151936, Gated: true, TrainedContext: 32768,
		}},
		"multilingual-e5-small": {mib: 63.88, want: Model{
			Roles: []Role{Embedding}, Architecture: "bert", Quantization: "Q4_0", Layers: 12, Embedding: 384, Heads: 12, HeadDim: 32,
			FeedForward: 1536, Vocabulary: 250037, TrainedContext: 512, License: "MIT", Commercial: true, QueryPrefix: "query: ", PassagePrefix: "passage: ",
		}},
	}
	for name, tt := range tests {
		s := readShown(t, name)
		got, err := FromTensors(name, s.Info, s.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		sum := got.InputBytes + got.OutputBytes
		for _, b := range got.LayerBytes {
			sum += b
		}
		near(t, name, float64(sum)/float64(MiB), tt.mib, 0.005)
		if got.FileBytes != sum {
			t.Errorf("%s: %d bytes of tensors, %d of them placed", name, got.FileBytes, sum)
		}
		got.LayerBytes, got.LargestMatrix, got.InputBytes, got.OutputBytes, got.FileBytes = nil, nil, 0, 0, 0
		tt.want.Name = name
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, tt.want)
		}
	}
}

// header is what Ollama's model_info would be of a row of the catalogue.
func (r row) header() map[string]any {
	h := map[string]any{
		"general.architecture": r.Architecture, "general.file_type": nil,
		r.Architecture + ".block_count": float64(r.Layers), r.Architecture + ".embedding_length": float64(r.Embedding),
		r.Architecture + ".context_length": float64(r.Context), r.Architecture + ".feed_forward_length": float64(r.FeedForward),
		r.Architecture + ".attention.head_count": float64(r.Heads), r.Architecture + ".attention.key_length": float64(r.HeadDim),
	}
	if r.KVHeads > 0 {
		h[r.Architecture+".attention.head_count_kv"] = float64(r.KVHeads)
	}
	if r.Roles[0] == Embedding {
		h[r.Architecture+".pooling_type"] = 1.0
	}
	if r.SlidingWindow > 0 {
		h[r.Architecture+".attention.sliding_window"] = float64(r.SlidingWindow)
	}
	return h
}

func TestFromTensorsOfCatalogue(t *testing.T) {
	list, err := rows()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		want, err := r.model()
		if err != nil {
			t.Fatal(err)
		}
		got, err := FromTensors(r.Name, r.header(), r.tensors())
		if err != nil {
			t.Fatal(err)
		}
		want.Quantization, want.FileBytes, got.FileBytes = "", 0, 0
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v, want\n%+v", r.Name, got, want)
		}
	}
}

// What a header counts layer by layer, Ollama shows as an array, or empty.
func TestFromTensorsArrays(t *testing.T) {
	s := readShown(t, "qwen2.5-coder-0.5b")
	for name, change := range map[string]map[string]any{
		"arrays":  {"qwen2.attention.head_count_kv": []any{1.0, 2.0}, "qwen2.feed_forward_length": []any{4864.0, 4000.0}},
		"emptied": {"qwen2.attention.head_count_kv": []any{}, "qwen2.feed_forward_length": []any{}},
		"null":    {"qwen2.attention.head_count_kv": nil, "qwen2.feed_forward_length": nil},
		"no heads, but their size": {
			"qwen2.attention.head_count": []any{}, "qwen2.attention.head_count_kv": nil, "qwen2.attention.key_length": 64.0,
		},
	} {
		info := maps.Clone(s.Info)
		maps.Copy(info, change)
		m, err := FromTensors("m", info, s.Tensors)
		if err != nil || m.Heads != 14 || m.KVHeads != 2 || m.HeadDim != 64 || m.FeedForward != 4864 {
			t.Errorf("%s: %d/%d heads of %d, feed-forward %d, %v", name, m.Heads, m.KVHeads, m.HeadDim, m.FeedForward, err)
		}
	}
}

func TestFromTensorsRoles(t *testing.T) {
	s := readShown(t, "qwen2.5-coder-0.5b")
	for key, want := range map[string]Role{"qwen2.pooling_type=3": Embedding, "qwen2.pooling_type=4": Reranking, "qwen2.vision.block_count=9": Captions} {
		info := maps.Clone(s.Info)
		key, n, _ := strings.Cut(key, "=")
		info[key] = float64(n[0] - '0')
		m, err := FromTensors("m", info, s.Tensors)
		if err != nil || m.Roles[len(m.Roles)-1] != want || !m.Decoder() {
			t.Errorf("%s: roles %v, decoder %v, %v", key, m.Roles, m.Decoder(), err)
		}
	}
}

func TestFromTensorsErrors(t *testing.T) {
	s := readShown(t, "qwen2.5-coder-0.5b")
	info := func(key string, value any) func(*shown) { return func(s *shown) { s.Info[key] = value } }
	first := func(change func(*Tensor)) func(*shown) {
		return func(s *shown) { s.Tensors = append([]Tensor{}, s.Tensors...); change(&s.Tensors[0]) }
	}
	add := func(t Tensor) func(*shown) {
		return func(s *shown) { s.Tensors = append(append([]Tensor{}, s.Tensors...), t) }
	}
	tests := map[string]struct {
		change func(*shown)
		want   string
	}{
		"no architecture":    {info("general.architecture", nil), "no general.architecture"},
		"other architecture": {info("general.architecture", "llama"), "number of layers is not known"},
		"no embedding":       {info("qwen2.embedding_length", nil), "embedding length is not known"},
		"no context":         {info("qwen2.context_length", []any{}), "trained context is not known"},
		"text":               {info("qwen2.block_count", "24"), "block_count is"},
		"fraction":           {info("qwen2.block_count", 1.5), "block_count is"},
		"negative":           {info("qwen2.attention.head_count", -1.0), "head_count is"},
		"billion layers":     {info("qwen2.block_count", 1e9), "block_count is"},
		"many layers":        {info("qwen2.block_count", 1e6), "layers in 291 tensors"},
		"more layers":        {info("qwen2.block_count", 25.0), "layer 24 of 25 has no tensors"},
		"fewer layers":       {info("qwen2.block_count", 23.0), "is in none of 23 layers"},
		"heads":              {info("qwen2.attention.head_count_kv", 1e6), "too many"},
		"no tensors":         {func(s *shown) { s.Tensors = nil }, "layers in 0 tensors"},
		"unknown type":       {first(func(t *Tensor) { t.Type = "Q7_X" }), "unknown type"},
		"no shape":           {first(func(t *Tensor) { t.Shape = nil }), "0 dimensions"},
		"negative shape":     {first(func(t *Tensor) { t.Shape = []int64{-896, -4} }), "impossible shape"},
		"huge shape":         {first(func(t *Tensor) { t.Shape = []int64{1 << 40, 1 << 40} }), "impossible shape"},
		"part of a block":    {first(func(t *Tensor) { t.Shape[0] = 897 }), "no blocks"},
		"negative layer":     {add(Tensor{"blk.-1.attn_q.weight", "F32", []int64{4}}), "in none of 24 layers"},
		"layer of a word":    {add(Tensor{"blk.x.attn_q.weight", "F32", []int64{4}}), "in none of 24 layers"},
		"a petabyte":         {add(Tensor{"v.huge", "F64", []int64{1 << 50}}), "more than 1024 TiB"},
	}
	for name, tt := range tests {
		bad := shown{Info: maps.Clone(s.Info)}
		for _, x := range s.Tensors {
			bad.Tensors = append(bad.Tensors, Tensor{x.Name, x.Type, append([]int64{}, x.Shape...)})
		}
		tt.change(&bad)
		if _, err := FromTensors("m", bad.Info, bad.Tensors); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

func FuzzFromTensors(f *testing.F) {
	for _, name := range []string{"qwen2.5-coder-0.5b", "multilingual-e5-small"} {
		data, err := os.ReadFile(filepath.Join("testdata", "show-"+name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"model_info":{"general.architecture":"a","a.block_count":1,"a.embedding_length":1,"a.context_length":16777216,"a.attention.head_count":1,` +
		`"a.feed_forward_length":1},"tensors":[{"name":"token_embd.weight","type":"F32","shape":[1,1]},{"name":"blk.0.x","type":"F32","shape":[1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s shown
		if json.Unmarshal(data, &s) != nil {
			return
		}
		m, err := FromTensors("m", s.Info, s.Tensors)
		if err != nil {
			return
		}
		if m.Layers != len(m.LayerBytes) || m.Layers > len(s.Tensors) {
			t.Fatalf("%d layers, bytes of %d", m.Layers, len(m.LayerBytes))
		}
		last := int64(0)
		for r := range min(m.Layers, 100) + 1 {
			e := Estimate(m, Settings{Offload: r, Context: m.TrainedContext, Batch: 2048, KV: Q4, NoFlash: true})
			if e.VRAM() < last || e.RAM < 0 || e.Weights < 0 || e.KV < 0 || e.Compute < 0 {
				t.Fatalf("%d layers of %+v: %+v after %d", r, m, e, last)
			}
			last = e.VRAM()
		}
		if p := predict(m, Settings{}, m.TrainedContext, Bandwidth{}); m.Decoder() && !(0 < p.Low && p.Low < p.High && p.High <= 1000) {
			t.Fatalf("%+v writes %+v tokens a second", m, p)
		}
	})
}
