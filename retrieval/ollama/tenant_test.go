package ollama

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

// A fakeOllama is an Ollama with a card of 6 GB. It loads a model anew when an option of the runner differs.
type fakeOllama struct {
	mu     sync.Mutex
	most   float64           // of num_gpu; more is out of memory. 0: no limit
	loaded map[string]string // model → options
	events []string          // what happened, in words
	broken bool              // no embedder loads
	free   int64             // VRAM at rest; 0: no card is seen
	pulled []string          // on its disk
	tires  float64           // num_gpu from which answers and vectors run out of memory, though the model loads; 0: none
}

type fakeCall struct {
	Model     string
	Prompt    string
	Messages  []any
	Input     []string
	KeepAlive *json.RawMessage `json:"keep_alive"`
	Options   map[string]any
}

func (f *fakeOllama) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var call fakeCall
	_ = json.NewDecoder(r.Body).Decode(&call)
	for _, own := range []string{"num_predict", "temperature", "seed"} {
		delete(call.Options, own)
	}
	keep := ""
	if call.KeepAlive != nil {
		keep = string(*call.KeepAlive)
	}
	switch r.URL.Path {
	case "/api/version":
		fmt.Fprint(w, `{"version":"0.32.15"}`)
	case "/api/ps":
		f.ps(w)
	case "/api/tags":
		f.tags(w)
	case "/api/show":
		if slices.Contains(f.pulled, call.Model) {
			fmt.Fprint(w, tiny)
			return
		}
		http.Error(w, `{"error":"model 'x' not found"}`, http.StatusNotFound)
	case "/api/generate":
		if keep == `0` || keep == `"0s"` {
			f.say("unload %s", call.Model)
			delete(f.loaded, call.Model)
			fmt.Fprint(w, `{"done":true}`)
			return
		}
		f.load(w, call, `{"done":true}`, keep)
	case "/api/embed":
		f.load(w, call, `{"embeddings":[[1,2]]}`, keep)
	case "/api/chat":
		f.load(w, call, `{"message":{"content":"hola"},"done":true,"eval_count":20,"eval_duration":1000000000}`, keep)
	}
}

func (f *fakeOllama) say(format string, args ...any) {
	f.events = append(f.events, fmt.Sprintf(format, args...))
}

// load loads the model if it is not loaded so, then answers.
func (f *fakeOllama) load(w http.ResponseWriter, call fakeCall, answer, keep string) {
	options := fmt.Sprint(call.Options["num_gpu"], call.Options["num_ctx"], call.Options["num_batch"])
	layers, _ := call.Options["num_gpu"].(float64)
	switch {
	case f.tires > 0 && layers >= f.tires && (call.Messages != nil || len(call.Input) > 0 && call.Input[0] != "."):
		f.say("out of memory %s in use", call.Model)
		clear(f.loaded)
		http.Error(w, `{"error":"CUDA error: out of memory"}`, http.StatusInternalServerError)
		return
	case f.broken && call.Model == "nomic-embed-text":
		http.Error(w, `{"error":"llama-server process has terminated: exit status 1"}`, http.StatusInternalServerError)
		return
	case f.loaded[call.Model] == options && strings.Contains(keep, "5m"):
		f.say("let go %s", call.Model)
	case f.loaded[call.Model] == options:
		f.say("use %s", call.Model)
	case f.most > 0 && layers > f.most && call.Model == "qwen2.5:7b":
		f.say("out of memory %s %s", call.Model, options)
		clear(f.loaded)
		http.Error(w, `{"error":"llama-server process has terminated: cudaMalloc failed: out of memory"}`, http.StatusInternalServerError)
		return
	default:
		time.Sleep(loadTime + 100*time.Millisecond)
		f.loaded[call.Model] = options
		f.say("load %s %s", call.Model, options)
		answer = strings.Replace(answer, `]]}`, `]],"load_duration":600000000}`, 1)
	}
	fmt.Fprintln(w, answer)
}

// vram is what a loaded model takes of the card, without its CUDA context.
func (f *fakeOllama) vram(model string) int64 {
	var layers, context, batch int
	_, _ = fmt.Sscan(f.loaded[model], &layers, &context, &batch)
	m, _ := hwplan.Lookup(model)
	return hwplan.Estimate(m, hwplan.Settings{Offload: max(0, layers-1), Context: context, Batch: batch, KV: hwplan.F16}).VRAM()
}

func (f *fakeOllama) ps(w http.ResponseWriter) {
	type running struct {
		Name     string `json:"name"`
		Size     int64  `json:"size"`
		SizeVRAM int64  `json:"size_vram"`
	}
	list := []running{}
	for model := range f.loaded {
		list = append(list, running{model, f.vram(model), f.vram(model)})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"models": list})
}

// tiny is a language model of one layer, as /api/show tells of it.
const tiny = `{"model_info":{"general.architecture":"llama","llama.block_count":1,"llama.embedding_length":64,"llama.context_length":16384,
"llama.attention.head_count":1,"llama.attention.head_count_kv":1,"llama.feed_forward_length":64},"tensors":[
{"name":"token_embd.weight","type":"F16","shape":[64,1000]},{"name":"blk.0.attn_q.weight","type":"F16","shape":[64,64]}]}`

func (f *fakeOllama) tags(w http.ResponseWriter) {
	type stored struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}
	list := []stored{{"qwen2.5:7b", 4683087332}}
	for _, name := range f.pulled {
		list = append(list, stored{name, 1 << 20})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"models": list})
}

// read is the machine as a detector would read it.
func (f *fakeOllama) read(context.Context) hwplan.Hardware {
	f.mu.Lock()
	defer f.mu.Unlock()
	hw := hwplan.Hardware{OS: "linux", RAM: hwplan.Memory{TotalBytes: 32 * hwplan.GiB, FreeBytes: 28 * hwplan.GiB}}
	if f.free == 0 {
		hw.OS = "darwin"
		return hw
	}
	free := f.free
	for model := range f.loaded {
		free -= f.vram(model) + 457*hwplan.MiB
	}
	card := hwplan.GPU{Name: "RTX 3050", Memory: hwplan.Memory{TotalBytes: 6144 * hwplan.MiB, FreeBytes: free}}
	hw.GPUs = []hwplan.GPU{card}
	return hw
}

// history is what has happened since it was last asked.
func (f *fakeOllama) history() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := f.events
	f.events = nil
	return events
}

// onCard returns a fake Ollama, the models that a keeper plans for it, and what ends them.
func onCard(t *testing.T) (f *fakeOllama, k *hwplan.Keeper, e *Embedder, g *Generator, end func()) {
	t.Helper()
	f = &fakeOllama{loaded: map[string]string{}, free: 6001 * hwplan.MiB}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	engine, err := NewEngine(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	k = hwplan.NewKeeper(hwplan.KeeperConfig{Read: f.read, Engine: engine, Chat: "qwen2.5:7b", Embedder: "nomic-embed-text", Context: 8192})
	e = embedder(t, Config{URL: server.URL, Model: "nomic-embed-text", Keeper: k})
	g = generator(t, Config{URL: server.URL, Model: "qwen2.5:7b", Keeper: k})
	g.After(e)
	ctx, cancel := context.WithCancel(context.Background())
	var group errgroup.Group
	group.Go(func() error { return e.Run(ctx) })
	group.Go(func() error { return g.Run(ctx) })
	end = sync.OnceFunc(func() {
		cancel()
		_ = group.Wait()
	})
	t.Cleanup(end)
	return f, k, e, g, end
}

func expect(t *testing.T, f *fakeOllama, want ...string) {
	t.Helper()
	if got := f.history(); !slices.Equal(got, want) {
		t.Errorf("what happened:\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// The embedder is loaded before the language model, each once and as planned; a new plan loads anew what it moves;
// at the end Ollama may unload both in its own time.
func TestTenants(t *testing.T) {
	f, k, e, g, end := onCard(t)
	if g.Context() != 8192 {
		t.Errorf("context %d", g.Context())
	}
	_, _, usage, err := collect(t.Context(), g, hello)
	if err != nil || !usage.Reloaded {
		t.Errorf("%v, %+v", err, usage)
	}
	expect(t, f, "load nomic-embed-text 13 2048 2048", "load qwen2.5:7b 26 8192 512", "use qwen2.5:7b")
	for range 2 {
		if _, err := e.EmbedPassages(t.Context(), []string{"uno"}); err != nil {
			t.Fatal(err)
		}
		if _, _, usage, err = collect(t.Context(), g, hello); err != nil || usage.Reloaded {
			t.Errorf("%v, %+v", err, usage)
		}
	}
	expect(t, f, "use nomic-embed-text", "use qwen2.5:7b", "use nomic-embed-text", "use qwen2.5:7b")

	planner, err := k.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plan := planner.Plan()
	smaller := plan.Roles[hwplan.Chat]
	smaller.NumGPU, smaller.Offloaded = 21, 20
	model, _ := hwplan.Lookup("qwen2.5:7b")
	smaller.Parts = hwplan.Estimate(model, hwplan.Settings{Offload: 20, Context: 8192, Batch: 512, KV: hwplan.F16, CUDAContext: smaller.Parts.Context})
	smaller.VRAMBytes = smaller.Parts.VRAM()
	plan.Roles = map[hwplan.Role]hwplan.Placement{hwplan.Chat: smaller, hwplan.Embedding: plan.Roles[hwplan.Embedding]}
	planner.Replace(plan)
	if _, _, _, err := collect(t.Context(), g, hello); err != nil {
		t.Fatal(err)
	}
	expect(t, f, "unload qwen2.5:7b", "use nomic-embed-text", "load qwen2.5:7b 21 8192 512", "use qwen2.5:7b")
	end()
	got := f.history()
	slices.Sort(got)
	if !slices.Equal(got, []string{"let go nomic-embed-text", "let go qwen2.5:7b"}) {
		t.Errorf("at the end: %v", got)
	}
	if lent := planner.Usage().GPU.LentBytes; lent != 0 {
		t.Errorf("%d bytes are still lent", lent)
	}
}

// A load that fails for want of memory is tried with fewer layers, after the embedder, which Ollama has unloaded for it;
// and the question is answered.
func TestTenantOutOfMemory(t *testing.T) {
	f, _, _, g, _ := onCard(t)
	f.most = 22
	if _, _, _, err := collect(t.Context(), g, hello); err != nil {
		t.Fatal(err)
	}
	expect(t, f, "load nomic-embed-text 13 2048 2048", "out of memory qwen2.5:7b 26 8192 512", "unload qwen2.5:7b",
		"load nomic-embed-text 13 2048 2048", "out of memory qwen2.5:7b 24 8192 512", "unload qwen2.5:7b",
		"load nomic-embed-text 13 2048 2048", "load qwen2.5:7b 22 8192 512", "use qwen2.5:7b")
}

// A model that does not load at all gives its place to a smaller one that the server has: the question is answered, and
// the answer's model is the one that wrote it.
func TestTenantStandIn(t *testing.T) {
	f, _, _, g, end := onCard(t)
	f.most, f.pulled = 1, []string{"tiny:1b"}
	text, _, usage, err := collect(t.Context(), g, hello)
	if err != nil || text != "hola" || usage.InPlaceOf != "qwen2.5:7b" || g.Model() != "tiny:1b" {
		t.Fatalf("%q by %s: %v, %+v", text, g.Model(), err, usage)
	}
	events := f.history()
	if got := events[len(events)-2:]; !strings.HasPrefix(got[0], "load tiny:1b 2 8192") || got[1] != "use tiny:1b" {
		t.Errorf("what happened: %v", events)
	}
	if f.loaded["qwen2.5:7b"] != "" {
		t.Error("both are loaded")
	}
	end()
	if got := f.history(); !slices.Contains(got, "let go tiny:1b") {
		t.Errorf("at the end: %v", got)
	}
}

// A model that is in memory already, loaded as planned, is known with what it takes, and was not loaded.
func TestTenantFound(t *testing.T) {
	f, k, e, g, _ := onCard(t)
	f.loaded["nomic-embed-text"], f.loaded["qwen2.5:7b"] = "13 2048 2048", "26 8192 512"
	if g.Ready(t.Context()) {
		t.Error("it was loaded")
	}
	if _, err := e.EmbedPassages(t.Context(), []string{"uno"}); err != nil {
		t.Fatal(err)
	}
	status, err := k.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []hwplan.Role{hwplan.Chat, hwplan.Embedding} {
		if l := status.Loads[role]; l.Loads != 0 || l.PlannedBytes == 0 || l.PlannedBytes != l.MeasuredBytes {
			t.Errorf("%s: %+v", role, l)
		}
	}
}

// Of several cards the one that is planned with is named in each call.
func TestMainGPU(t *testing.T) {
	p := hwplan.Placement{NumGPU: 5, MainGPU: new(0)}
	if got := fmt.Sprint(runnerOptions(p, 4096, 0)); got != "map[main_gpu:0 num_ctx:4096 num_gpu:5]" {
		t.Error(got)
	}
	if got := fmt.Sprint(runnerOptions(unplanned, 4096, 0)); got != "map[num_ctx:4096]" {
		t.Error(got)
	}
}

// An embedder that another client unloaded, and that is loaded for the language model to come after it, is noticed.
func TestTenantFirstEvicted(t *testing.T) {
	f, k, e, g, _ := onCard(t)
	if _, err := e.EmbedPassages(t.Context(), []string{"uno"}); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	delete(f.loaded, "nomic-embed-text")
	f.mu.Unlock()
	if !g.Ready(t.Context()) {
		t.Error("the language model was loaded already")
	}
	status, err := k.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l := status.Loads[hwplan.Embedding]; l.Loads != 2 || l.Unexpected != 1 || len(status.Notices) != 1 {
		t.Errorf("%+v, notices %v", l, status.Notices)
	}
}

// A model that loads but runs out of memory in use is planned with less for the next call; what its texts were is not to blame.
func TestTenantRunsOut(t *testing.T) {
	f, _, e, g, _ := onCard(t)
	f.tires = 26
	if _, _, _, err := collect(t.Context(), g, hello); !errors.Is(err, answer.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if _, _, _, err := collect(t.Context(), g, hello); err != nil {
		t.Error(err)
	}
	expect(t, f, "load nomic-embed-text 13 2048 2048", "load qwen2.5:7b 26 8192 512", "out of memory qwen2.5:7b in use",
		"unload qwen2.5:7b", "load nomic-embed-text 13 2048 2048", "load qwen2.5:7b 24 8192 512", "use qwen2.5:7b")
	f.mu.Lock()
	f.tires = 13 // the embedder's
	f.mu.Unlock()
	texts := []string{"uno"}
	if _, err := e.EmbedPassages(t.Context(), texts); !errors.Is(err, retrieval.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if _, err := e.EmbedPassages(t.Context(), texts); err != nil {
		t.Error(err)
	}
	if events := f.history(); !slices.Contains(events, "load nomic-embed-text 0 2048 2048") {
		t.Errorf("what happened: %v", events)
	}
}

// OCR that wants the card gets it only when nobody has asked for a while, here at once, and the next question gets it back.
func TestTenantYields(t *testing.T) {
	f, k, _, g, _ := onCard(t)
	if _, _, _, err := collect(t.Context(), g, hello); err != nil {
		t.Fatal(err)
	}
	f.history()
	g.mu.Lock()
	g.used = time.Now().Add(-quiet) // so long ago
	g.mu.Unlock()
	planner, err := k.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	grant, err := planner.Grant(t.Context(), hwplan.OCR)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, f, "unload qwen2.5:7b")
	go func() {
		<-grant.Wanted()
		grant.Release()
	}()
	if _, _, _, err := collect(t.Context(), g, hello); err != nil {
		t.Fatal(err)
	}
	expect(t, f, "use nomic-embed-text", "load qwen2.5:7b 26 8192 512", "use qwen2.5:7b")
}

// An embedder that does not load is no fault of the texts, which would be given up for it.
func TestTenantBroken(t *testing.T) {
	f, _, e, _, _ := onCard(t)
	f.broken = true
	if _, err := e.EmbedPassages(t.Context(), []string{"uno"}); !errors.Is(err, retrieval.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// At the end nothing is loaded only to be let go.
func TestTenantLeavesUnloaded(t *testing.T) {
	f, _, e, _, end := onCard(t)
	if _, err := e.EmbedPassages(t.Context(), []string{"uno"}); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	clear(f.loaded) // Ollama was started anew
	f.mu.Unlock()
	f.history()
	end()
	expect(t, f)
}

// A question that is taken back while its model loads leaves neither the model nor a grant.
func TestTenantCanceledLoad(t *testing.T) {
	f, k, e, g, _ := onCard(t)
	if _, err := e.EmbedPassages(t.Context(), []string{"uno"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), loadTime/2)
	defer cancel()
	if _, _, _, err := collect(ctx, g, hello); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	planner, err := k.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if tenants := planner.Usage().GPU.Tenants; len(tenants) != 1 || tenants[0].Role != hwplan.Embedding {
		t.Errorf("lent: %+v", tenants)
	}
	if events := f.history(); events[len(events)-1] != "unload qwen2.5:7b" || f.loaded["qwen2.5:7b"] != "" {
		t.Errorf("what happened: %v", events)
	}
}

// On a Mac the models are kept loaded too, but where they compute is Ollama's choice.
func TestTenantEngineDecides(t *testing.T) {
	f, k, _, g, _ := onCard(t)
	f.mu.Lock()
	f.free = 0
	f.mu.Unlock()
	for range 2 {
		if _, _, _, err := collect(t.Context(), g, hello); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, f, "load nomic-embed-text <nil> 2048 2048", "load qwen2.5:7b <nil> 8192 512", "use qwen2.5:7b", "use qwen2.5:7b")
	r, err := k.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if plan := hwplan.Fit(r); plan.Roles[hwplan.Chat].Device != hwplan.OnAuto {
		t.Errorf("%+v", plan.Roles[hwplan.Chat])
	}
}
