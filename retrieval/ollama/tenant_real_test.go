package ollama

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ollama/ollama/api"
	"golang.org/x/sync/errgroup"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

// A bed is a real Ollama behind a proxy that notes the options of each call, with the models that a keeper plans.
type bed struct {
	log      string
	runner   string // in the command line of its processes
	url      string
	keeper   *hwplan.Keeper
	embedder *Embedder
	chat     *Generator

	mu      sync.Mutex
	options map[string]map[string]int // model → options, as sent → calls
}

// newBed uses the server and the log that two variables name, or skips.
func newBed(t *testing.T, server, log, runner string) *bed {
	t.Helper()
	target, err := url.Parse(os.Getenv(server))
	b := &bed{log: os.Getenv(log), runner: runner, options: map[string]map[string]int{}}
	if err != nil || target.Host == "" || b.log == "" {
		t.Skipf("needs a real Ollama: %s or %s is not set", server, log)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = target.Host
		b.note(r)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	b.url = front.URL
	detector := hwplan.NewDetector(t.TempDir())
	t.Cleanup(func() { _ = detector.Close() })
	engine, err := NewEngine(Config{URL: front.URL})
	if err != nil {
		t.Fatal(err)
	}
	chat, embedding := os.Getenv("ACERVO_TEST_LLM"), os.Getenv("ACERVO_TEST_EMBEDDER")
	b.keeper = hwplan.NewKeeper(hwplan.KeeperConfig{Read: detector.Read, Engine: engine, Chat: chat, Embedder: embedding, Context: 4096})
	if b.embedder, err = NewEmbedder(Config{URL: front.URL, Model: embedding, Keeper: b.keeper}); err != nil {
		t.Fatal(err)
	}
	if b.chat, err = NewGenerator(Config{URL: front.URL, Model: chat, Keeper: b.keeper}); err != nil {
		t.Fatal(err)
	}
	b.chat.After(b.embedder)
	b.run(t)
	return b
}

// run cares for the models' memory for as long as the test.
func (b *bed) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return b.embedder.Run(ctx) })
	g.Go(func() error { return b.chat.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		_ = g.Wait()
	})
}

// note keeps the runner's options of a call that needs a model. It gives the proxy every body in memory: one that comes
// from the connection is closed once the answer begins, and where the proxy still looks for its end, the answer is cut.
func (b *bed) note(r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(raw))
	var call struct {
		Model   string
		Options map[string]any
		Shift   *bool
	}
	if json.Unmarshal(raw, &call) != nil || call.Options == nil {
		return
	}
	for _, own := range []string{"num_predict", "temperature", "seed"} { // none of the runner's
		delete(call.Options, own)
	}
	if call.Shift != nil {
		call.Options["shift"] = *call.Shift
	}
	sent, _ := json.Marshal(call.Options)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.options[call.Model] == nil {
		b.options[call.Model] = map[string]int{}
	}
	b.options[call.Model][string(sent)]++
}

var aLoad = regexp.MustCompile(`msg="starting (?:runner|llama-server)"`)

// loads counts them by the engine's own log.
func (b *bed) loads(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(b.log)
	if err != nil {
		t.Fatal(err)
	}
	return len(aLoad.FindAll(raw, -1))
}

// ask returns whether the model was loaded for a question.
func (b *bed) ask(t *testing.T, question string) (reloaded bool) {
	t.Helper()
	r := answer.Request{Messages: []answer.Message{{Role: answer.User, Content: question}}, MaxTokens: 4}
	for d, err := range b.chat.Generate(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Usage != nil {
			reloaded = d.Usage.Reloaded
		}
	}
	return reloaded
}

func (b *bed) embed(t *testing.T, texts ...string) {
	t.Helper()
	if _, err := b.embedder.EmbedPassages(t.Context(), texts); err != nil {
		t.Fatal(err)
	}
}

// generations runs a test with each Ollama that the test bed has.
func generations(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Run("newer", func(t *testing.T) {
		test(t, newBed(t, "ACERVO_TEST_OLLAMA_URL", "ACERVO_TEST_OLLAMA_LOG", "llama-server"))
	})
	t.Run("older", func(t *testing.T) {
		test(t, newBed(t, "ACERVO_TEST_OLLAMA_OLDER_URL", "ACERVO_TEST_OLLAMA_OLDER_LOG", "\x00runner\x00"))
	})
}

// A hundred questions mixed with a hundred batches of passages: each model is
// loaded once, with the same options on every call, byte for byte. A new plan
// loads a model once more, and one that another client unloaded is noticed.
func TestLoadsOnce(t *testing.T) {
	generations(t, func(t *testing.T, b *bed) {
		b.embedder.Load(t.Context())
		b.chat.Load(t.Context())
		before, reloaded := b.loads(t), 0
		for i := range 100 {
			b.embed(t, fmt.Sprintf("La torre %d mide %d metros.", i, 10+i), fmt.Sprintf("The bridge %d is %d m long.", i, i))
			if b.ask(t, fmt.Sprintf("Di el número %d.", i)) {
				reloaded++
			}
		}
		if n := b.loads(t) - before; n != 0 || reloaded != 0 {
			t.Errorf("%d loads by the log and %d by load_duration over 100 questions mixed with 100 batches, want 0", n, reloaded)
		}
		for model, sent := range b.options {
			if len(sent) != 1 {
				t.Errorf("%s was sent different options: %v", model, sent)
			}
		}
		t.Logf("100 questions and 100 batches, 0 loads; options: %v", b.options)
		b.changePlan(t)
		b.evict(t)
	})
}

// changePlan gives the language model another context, which loads it anew: once.
func (b *bed) changePlan(t *testing.T) {
	t.Helper()
	planner, err := b.keeper.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, plan := b.loads(t), planner.Plan()
	roles := map[hwplan.Role]hwplan.Placement{}
	for role, p := range plan.Roles {
		if role == hwplan.Chat {
			p.NumCtx = 2048
		}
		roles[role] = p
	}
	plan.Roles = roles
	planner.Replace(plan)
	for range 3 {
		b.ask(t, "Di hola.")
		b.embed(t, "Hola.")
	}
	if n := b.loads(t) - before; n != 1 {
		t.Errorf("%d loads after the plan changed, want 1", n)
	}
	if got := planner.Plan().Roles[hwplan.Chat].NumCtx; got != 2048 {
		t.Errorf("context %d in the plan in force", got)
	}
}

// unload has the server unload a model, as another client may.
func (b *bed) unload(t *testing.T, m *tenant) {
	t.Helper()
	body := fmt.Sprintf(`{"model":%q,"keep_alive":0}`, m.model)
	resp, err := http.Post(b.url+"/api/generate", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for loaded := true; loaded; _, loaded = m.isLoaded(t.Context(), unplanned) {
		time.Sleep(50 * time.Millisecond)
	}
}

// evict unloads the language model as another client may.
func (b *bed) evict(t *testing.T) {
	t.Helper()
	b.unload(t, b.chat.tenant)
	if !b.ask(t, "Di adiós.") {
		t.Error("the answer does not say that the model was loaded for it")
	}
	status, err := b.keeper.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l := status.Loads[hwplan.Chat]; l.Unexpected != 1 || len(status.Notices) == 0 {
		t.Errorf("%+v, notices %v", l, status.Notices)
	}
}

// What a runner has in RAM after its first text is what was planned, within a tenth. It grows with use: by prompts
// that it remembers, and by what its allocator keeps.
func TestRAMOfRunner(t *testing.T) {
	generations(t, func(t *testing.T, b *bed) {
		b.unload(t, b.embedder.tenant) // a fresh process of each
		b.unload(t, b.chat.tenant)
		b.embedder.Load(t.Context())
		b.chat.Load(t.Context())
		planner, err := b.keeper.Planner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.embed(t, "La torre mide diez metros.")
		b.ask(t, strings.Repeat("La torre mide diez metros. ", 100))
		for role, p := range planner.Plan().Roles {
			planned, resident := p.RAMBytes>>20, b.runnerRSS(t, p.Model)>>20
			t.Logf("%s %s: planned %d MiB, resident %d MiB", role, p.Model, planned, resident)
			if off := float64(resident) / float64(planned); off < 0.9 || off > 1.1 {
				t.Errorf("%s: planned %d MiB of RAM, the runner has %d", role, planned, resident)
			}
		}
	})
}

// runnerRSS is the resident size, in bytes, of the engine's process that runs a model.
func (b *bed) runnerRSS(t *testing.T, model string) int64 {
	t.Helper()
	shown, err := b.chat.api.Show(t.Context(), &api.ShowRequest{Model: model})
	if err != nil {
		t.Fatal(err)
	}
	blob := regexp.MustCompile(`(?m)^FROM (.+)$`).FindStringSubmatch(shown.Modelfile)
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || blob == nil {
		t.Fatal(err, shown.Modelfile)
	}
	for _, path := range processes {
		raw, _ := os.ReadFile(path)
		if line := string(raw); !strings.Contains(line, filepath.Base(blob[1])) || !strings.Contains(line, b.runner) {
			continue
		}
		var pages, resident int64
		raw, _ = os.ReadFile(filepath.Join(filepath.Dir(path), "statm"))
		if _, err := fmt.Sscan(string(raw), &pages, &resident); err == nil {
			return resident * int64(os.Getpagesize())
		}
	}
	t.Skip("the process of the runner is not seen from here")
	return 0
}
