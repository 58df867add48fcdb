package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/retrieval"
)

// planned runs `acervo plan` on empty data and returns what it prints.
func planned(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	args = append([]string{"plan", "--docs", dir + "/docs", "--data", dir + "/data"}, args...)
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	if _, err := os.Stat(dir + "/data"); err == nil {
		t.Error("a plan made the data directory")
	}
	return code, out.String(), errs.String()
}

var trailing = regexp.MustCompile(`(?m) +$`)

// The README shows what the program prints.
func TestReadmePlan(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)\\$ acervo plan ([^\n]*--ollama[^\n]*)\n(.*?)```").FindSubmatch(readme)
	if shown == nil {
		t.Fatal("the README shows no plan")
	}
	code, out, errs := planned(t, strings.Fields(string(shown[1]))...)
	if got := trailing.ReplaceAllString(out, ""); code != 0 || got != string(shown[2]) {
		t.Errorf("exit %d %s; the README shows\n%sand the program prints\n%s", code, errs, shown[2], got)
	}
}

func TestPlanRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"--gpu-free", "lots"}, {"--gpu-total", "6GiB", "--gpu-free", "8GiB"}, {"--kv", "f3"}, {"--ctx", "-1"}, {"--ctx", "8k"},
		{"--llm", "no-such-model:9b"}, {"--llm", "bge-m3"}, {"--embedder", "qwen2.5:7b"}, {"--os", "beos"}, {"--ram", "0"}, {"--batch", "0"}, {"--ollama", "new"},
		{"--reranker", "bge-m3"}, {"--captions", "qwen2.5:7b"}, {"--captions", "no-such-model:2b"},
	} {
		code, out, errs := planned(t, args...)
		if code != 2 || out != "" || strings.Count(strings.TrimSpace(errs), "\n") > 0 {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, errs)
		}
	}
}

// The catalogue shows the prefixes that are used.
func TestCataloguePrefixes(t *testing.T) {
	for _, m := range hwplan.Catalogue() {
		if m.Decoder() {
			continue
		}
		if p := retrieval.PrefixesOf(m.Name); p.Query != m.QueryPrefix || p.Passage != m.PassagePrefix {
			t.Errorf("%s: %q and %q in the catalogue, %q and %q in use", m.Name, m.QueryPrefix, m.PassagePrefix, p.Query, p.Passage)
		}
	}
}

// What is asked for besides is planned, and drawn in the bar; what is not costs nothing.
func TestPlanBesides(t *testing.T) {
	machine := []string{"--gpu-total", "12GiB", "--ram", "32GiB", "--os", "linux", "--llm", "qwen2.5:7b", "--embedder", "bge-m3", "--ollama", "0.32.0"}
	_, without, _ := planned(t, machine...)
	code, out, errs := planned(t, append(machine, "--reranker", "bge-reranker-v2-m3", "--captions", "qwen3-vl:2b")...)
	for _, line := range []string{"░ reranker 1060 MiB", "reranking      bge-reranker-v2-m3  gpu ", "captions       qwen3-vl:2b         gpu, in turns"} {
		if code != 0 || !strings.Contains(out, line) {
			t.Errorf("exit %d %s: there is no %q in\n%s", code, errs, line, out)
		}
	}
	for _, word := range []string{"rerank", "captions", "░"} {
		if strings.Contains(without, word) {
			t.Errorf("%q, which nobody asked for, in\n%s", word, without)
		}
	}
}

// A Mac's plan leaves the placement to Ollama and says so; num_gpu is not shown, for it is not sent.
func TestPlanOfMac(t *testing.T) {
	code, out, errs := planned(t, "--os", "darwin", "--ram", "16GiB", "--llm", "qwen2.5:7b", "--embedder", "nomic-embed-text")
	if code != 0 || !strings.HasPrefix(out, "qwen2.5:7b computes where Ollama puts it.") || strings.Contains(out, "0 of") || strings.Contains(out, "-1") {
		t.Errorf("exit %d %s\n%s", code, errs, out)
	}
}

// One server may be written in several ways, and plans both models together.
func TestPlannedTogether(t *testing.T) {
	for _, c := range []struct {
		llm, embedder string
		together      bool
	}{
		{"http://127.0.0.1:11434", "http://localhost:11434/", true},
		{"http://0.0.0.0:11434", "http://[::1]:11434", true},
		{"http://127.0.0.1:11434", "http://127.0.0.1:11435", false},
		{"http://127.0.0.1:11434", "http://192.0.2.7:11434", false},
	} {
		cfg := Config{
			LLM:      ModelConfig{Provider: "auto", URL: c.llm, Model: "qwen2.5:7b"},
			Embedder: ModelConfig{Provider: "auto", URL: c.embedder, Model: "nomic-embed-text"},
			Data:     t.TempDir(),
		}
		detector := hwplan.NewDetector(cfg.Data)
		keeper, err := newKeeper(cfg, detector, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		plan, err := keeper.Plan(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, together := plan.Roles[hwplan.Embedding]; together != c.together || plan.Roles[hwplan.Chat].Model == "" {
			t.Errorf("%s and %s: %v", c.llm, c.embedder, plan.Roles)
		}
		_ = detector.Close()
	}
}
