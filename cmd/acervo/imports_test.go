package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/acervo-kb/acervo/"

// allowed says which of the program's own packages each package may import. The reasons stand in doc.go.
var allowed = map[string]string{
	"web":                     "",
	"hwplan":                  "",
	"retrieval":               "",
	"ingest/parse":            "",
	"retrieval/answer":        "retrieval",
	"retrieval/chromem":       "retrieval",
	"retrieval/ollama":        "hwplan retrieval retrieval/answer",
	"retrieval/openai":        "retrieval retrieval/answer",
	"retrieval/retrievaltest": "retrieval",
	"ingest/subprocess":       "",
	"ingest/worker":           "ingest/parse ingest/subprocess",
	"ingest/sidecar":          "hwplan ingest/parse ingest/subprocess",
	"ingest":                  "ingest/parse retrieval",
	"server":                  "hwplan ingest ingest/parse retrieval retrieval/answer",
	"cmd/acervo":              "hwplan ingest ingest/parse ingest/sidecar ingest/subprocess ingest/worker retrieval retrieval/answer retrieval/chromem retrieval/ollama retrieval/openai server web",
	"cmd/acervo-eval":         "retrieval retrieval/chromem retrieval/ollama",
}

// outside are the packages that may open sockets or start processes; hwplan starts nvidia-smi.
var outside = []string{"server", "hwplan", "retrieval/ollama", "retrieval/openai", "ingest/subprocess", "ingest/sidecar", "cmd/acervo", "cmd/acervo-eval"}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; packages++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		checkImports(t, strings.TrimPrefix(p.ImportPath, module), p.Imports)
	}
	if packages < 10 {
		t.Errorf("only %d packages were checked", packages)
	}
}

func checkImports(t *testing.T, name string, imports []string) {
	t.Helper()
	if name == "zz_deps" { // a developer's own, ignored by git
		return
	}
	list, known := allowed[name]
	if !known {
		t.Errorf("package %s is new: decide what it may import, in this test and in doc.go", name)
	}
	for _, path := range imports {
		if ours, ok := strings.CutPrefix(path, module); ok && !slices.Contains(strings.Fields(list), ours) {
			t.Errorf("%s must not import %s", name, ours)
		}
		if (path == "net" || path == "net/http" || path == "os/exec") && !slices.Contains(outside, name) {
			t.Errorf("%s must not import %s: it neither opens sockets nor starts processes", name, path)
		}
	}
}
