package hwplan

import (
	"math"
	"slices"
	"testing"
)

// near reports a got that is further from want than allowed.
func near(t *testing.T, what string, got, want, allowed float64) {
	t.Helper()
	if math.Abs(got-want) > allowed {
		t.Errorf("%s: %.3f, want %.3f", what, got, want)
	}
}

func lookup(t *testing.T, name string) Model {
	t.Helper()
	m, ok := Lookup(name)
	if !ok {
		t.Fatalf("no model %q", name)
	}
	return m
}

func TestCatalogueSizes(t *testing.T) {
	list, err := rows()
	if err != nil {
		t.Fatal(err)
	}
	names, exact := map[string]bool{}, 0
	for _, r := range list {
		m, err := r.model()
		if err != nil {
			t.Fatal(err)
		}
		placed := m.InputBytes + m.OutputBytes
		for _, b := range m.LayerBytes {
			placed += b
		}
		if m.Tied { // counted as input, and as output without its norm
			placed -= m.OutputBytes - int64(4*(r.Embedding+r.RopeFactors))
		}
		if r.TensorBytes > 0 {
			exact++
			if placed != r.TensorBytes {
				t.Errorf("%s: %d bytes of tensors, want %d", r.Name, placed, r.TensorBytes)
			}
		}
		least, most := placed, placed+24*MiB
		if r.VisionBytes > 0 { // of these the size is known in tenths of a GB
			least, most = placed+r.VisionBytes-50e6, placed+r.VisionBytes+50e6
		}
		if r.FileBytes > 0 && (r.FileBytes < least || r.FileBytes > most) {
			t.Errorf("%s: a file of %d bytes with %d of tensors", r.Name, r.FileBytes, placed)
		}
		if m.License == "" || len(m.Roles) == 0 || m.TrainedContext == 0 || m.Decoder() == encoder(m.Architecture) {
			t.Errorf("%s is not complete: %+v", r.Name, m)
		}
		for _, name := range append(r.Aliases, r.Name) {
			if names[canonical(name)] {
				t.Errorf("two rows are called %s", name)
			}
			names[canonical(name)] = true
		}
	}
	if exact < 22 {
		t.Errorf("%d rows are held to an exact size", exact)
	}
}

func TestLookup(t *testing.T) {
	for name, want := range map[string]int64{
		"qwen2.5:7b": 4683087332, "Qwen2.5:7B-Instruct-Q4_K_M": 4683087332, "qwen2.5": 4683087332, "qwen2.5:latest": 4683087332,
		"registry.ollama.ai/library/qwen2.5:7b": 4683087332, "library/bge-m3": 1157672605, "bge-m3:567m": 1157672605,
		"nomic-embed-text": 274302450, "nomic-embed-text:latest": 274302450, "NOMIC-embed-text:V1.5": 274302450,
		"qwen2.5:9b": 0, "bge-m3:v9": 0, "someone/qwen2.5:7b": 0, "": 0, ":": 0, "multilingual-e5-small:latest": 66982584,
	} {
		m, ok := Lookup(name)
		if m.FileBytes != want || ok != (want > 0) || ok && m.Name != name {
			t.Errorf("Lookup(%q) = %q of %d bytes, %v, want %d", name, m.Name, m.FileBytes, ok, want)
		}
	}
	models := Catalogue()
	models[0] = Model{}
	if Catalogue()[0].Name == "" {
		t.Error("a caller can change the catalogue's list")
	}
}

// The vectors of vram.md §5.2 and §5.5.
func TestQwen7B(t *testing.T) {
	const small, big = 131135488, 149112832
	bigLayers := []int{0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27}
	m := lookup(t, "qwen2.5:7b")
	for i, b := range m.LayerBytes {
		if want := map[bool]int64{true: big, false: small}[slices.Contains(bigLayers, i)]; b != want {
			t.Errorf("layer %d: %d bytes, want %d", i, b, want)
		}
	}
	if m.OutputBytes != 447082496 || m.InputBytes != 306561024 {
		t.Errorf("output %d, embedding %d", m.OutputBytes, m.InputBytes)
	}
	for n, want := range map[int]int64{
		10: 1735165952, 15: 2426798080, 18: 2838181888, 20: 3100452864, 21: 3249565696, 26: 3923220480, 27: 4072333312, 28: 4221446144, 29: 4370558976,
	} {
		if got := Estimate(m, Settings{Offload: n - 1, Context: 8192, Batch: 512}).Weights; got != want {
			t.Errorf("num_gpu %d: weights %d, want %d", n, got, want)
		}
	}
	for r, want := range []float64{
		0, 568.58, 710.78, 852.99, 995.19, 1137.40, 1262.46, 1387.52, 1529.72, 1654.78, 1779.84, 1922.05, 2047.11, 2172.17, 2314.38, 2439.44, 2564.50,
		2706.70, 2831.76, 2956.82, 3099.03, 3224.09, 3349.15, 3491.35, 3616.41, 3741.47, 3883.68, 4025.88, 4168.09,
	} {
		near(t, "weights in MiB", float64(Estimate(m, Settings{Offload: r, Context: 8192, Batch: 512}).Weights)/float64(MiB), want, 0.006)
	}
}
