package parse

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func noProgress(int, int, string) {}

// startPDF makes one engine for all tests: a start takes seconds. Its cache is
// kept for the next run.
var startPDF = sync.OnceValues(func() (*PDF, error) {
	return NewPDF(context.Background(), PDFConfig{CacheDir: filepath.Join(os.TempDir(), "acervo-test-pdfium")})
})

func testPDF(t testing.TB) *PDF {
	t.Helper()
	p, err := startPDF()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
