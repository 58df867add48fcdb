package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// place returns overrides for an empty folder and data directory.
func emptyPlace(t *testing.T) overrides {
	t.Helper()
	dir := t.TempDir()
	o := overrides{docs: filepath.Join(dir, "docs"), data: filepath.Join(dir, "data")}
	shareEngine(t, o.data)
	return o
}

func TestConfigLayers(t *testing.T) {
	o := emptyPlace(t)
	check := func(what, want string) {
		t.Helper()
		cfg, _, err := loadConfig(o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if cfg.LLM.Model != want {
			t.Errorf("%s: llm.model = %q, want %q", what, cfg.LLM.Model, want)
		}
	}
	check("defaults", "qwen2.5:7b")
	if err := os.WriteFile(filepath.Join(o.data, "acervo.toml"), []byte("[llm]\nmodel = \"file\"\n[watch]\nsettle = \"2s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("file", "file")
	t.Setenv("ACERVO_LLM_MODEL", "environment")
	check("environment over file", "environment")
	o.set = []string{"llm.model=flag"}
	check("flag over environment", "flag")
	cfg, _, err := loadConfig(o)
	if err != nil || cfg.Watch.Settle != 2*time.Second {
		t.Errorf("watch.settle = %s, %v, want 2s from the file", cfg.Watch.Settle, err)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, test := range []struct{ set, names string }{
		{"chunk.size=100", "chunk.size"},
		{"chunk.size=2000", "chunk.size"},
		{"chunk.overlap=10", "chunk.overlap"},
		{"nosuch.key=1", "nosuch.key"},
		{"answer.context=abc", "answer.context"},
		{"answer.context=100", "answer.context"},
		{"llm.provider=magic", "llm.provider"},
		{"llm.url=ftp://x", "llm.url"},
		{"watch.settle=-3s", "watch.settle"},
		{"addr=0.0.0.0:7801", "addr"},
		{"addr=nonsense", "addr"},
		{"chunk", "--set chunk"},
	} {
		t.Run(test.set, func(t *testing.T) {
			o := emptyPlace(t)
			o.set = []string{test.set}
			_, _, err := loadConfig(o)
			var usage usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.names) || strings.Contains(err.Error(), "\n") {
				t.Errorf("err = %v, want one line of wrong usage that names %s", err, test.names)
			}
		})
	}
}

func TestConfigRefusesUnknownKeys(t *testing.T) {
	o := emptyPlace(t)
	path := filepath.Join(o.data, "acervo.toml")
	if err := os.WriteFile(path, []byte("[nosuch]\nkey = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadConfig(o); err == nil || !strings.Contains(err.Error(), "nosuch.key") {
		t.Errorf("err = %v, want one that names nosuch.key", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ACERVO_NOSUCH", "1")
	if _, _, err := loadConfig(o); err == nil || !strings.Contains(err.Error(), "ACERVO_NOSUCH") {
		t.Errorf("err = %v, want one that names ACERVO_NOSUCH", err)
	}
}

func TestConfigKeepsDataOutOfDocs(t *testing.T) {
	o := emptyPlace(t)
	o.data = filepath.Join(o.docs, "data")
	if _, _, err := loadConfig(o); err == nil {
		t.Error("a data directory inside the folder was accepted: its files would be indexed")
	}
}

func TestPrintConfigMasksSecrets(t *testing.T) {
	o := emptyPlace(t)
	o.set = []string{"llm.key=sesame", "embedder.key=tulip"}
	_, merged, err := loadConfig(o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := printable(merged)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "sesame") || strings.Contains(text, "tulip") || strings.Count(text, "***") != 2 {
		t.Errorf("secrets are not masked:\n%s", text)
	}
}
