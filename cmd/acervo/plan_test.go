package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

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
