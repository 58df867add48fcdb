package parse

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
)

// TestRealFiles reads the everyday and hostile documents of the folder that
// ACERVO_TEST_DATA names, and checks what their manifest says of them.
func TestRealFiles(t *testing.T) {
	dir := os.Getenv("ACERVO_TEST_DATA")
	if dir == "" {
		t.Skip("ACERVO_TEST_DATA does not name the folder of test documents")
	}
	dir = filepath.Join(dir, "files")
	manifest, err := os.Open(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	for lines := bufio.NewScanner(manifest); lines.Scan(); {
		var row manifestRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]string{"txt", "md", "html", "docx"}, row.Format) {
			continue
		}
		t.Run(row.File, func(t *testing.T) { checkRow(t, dir, row) })
	}
}

type manifestRow struct {
	File           string
	Format         string
	Expect         string
	Code           Code
	AlsoTolerable  []string `json:"also_tolerable"`
	MustContain    []string `json:"must_contain"`
	MustNotContain []string `json:"must_not_contain"`
}

func checkRow(t *testing.T, dir string, row manifestRow) {
	data, err := os.ReadFile(filepath.Join(dir, row.File))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c, err := NewRegistry(noPDF).Parse(t.Context(), File{Name: row.File, Data: data}, nil)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	var problem *Error
	if errors.As(err, &problem) {
		if row.Expect != "failed" && !slices.Contains(row.AlsoTolerable, "failed") || row.Code != "" && problem.Code != row.Code {
			t.Errorf("got %v, want %s %s", err, row.Expect, row.Code)
		}
		return
	}
	if err != nil || row.Expect == "failed" {
		t.Fatalf("got error %v, want %s %s", err, row.Expect, row.Code)
	}
	checkContent(t, c)
	words := squeeze(c.Text)
	for _, phrase := range row.MustContain {
		if !strings.Contains(words, squeeze(phrase)) {
			t.Errorf("it lacks %q", phrase)
		}
	}
	for _, phrase := range row.MustNotContain {
		if strings.Contains(words, squeeze(phrase)) {
			t.Errorf("it has %q", phrase)
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(norm.NFC.String(s)), " ") }
