package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/ingest/worker"
	"github.com/acervo-kb/acervo/retrieval"
)

// childReader makes the test binary a reader of documents; it names its cache.
const childReader = "ACERVO_TEST_READER"

// A tesseract reads pages with the program of that name, as it is.
type tesseract struct {
	pages int
	spent time.Duration
}

func (o *tesseract) Recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error) {
	start := time.Now()
	defer func() { o.pages, o.spent = o.pages+1, o.spent+time.Since(start) }()
	size, err := png.DecodeConfig(bytes.NewReader(image))
	if err != nil {
		return parse.ScannedPage{}, err
	}
	cmd := exec.CommandContext(ctx, "tesseract", "stdin", "stdout", "-l", languages, "--psm", "1", "--dpi", "300", "tsv")
	cmd.Stdin, cmd.Env = bytes.NewReader(image), append(os.Environ(), "OMP_THREAD_LIMIT=1")
	out, err := cmd.Output()
	if err != nil {
		return parse.ScannedPage{}, parse.Errorf(parse.Crashed, "tesseract: %v", err)
	}
	page := parse.ScannedPage{Engine: "tesseract"}
	last, sum, chars := "", 0.0, 0
	for row := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimRight(row, "\n"), "\t")
		if len(f) != 12 || f[0] != "5" || strings.TrimSpace(f[11]) == "" {
			continue
		}
		var n [5]float64 // left, top, width, height, confidence
		for i := range n {
			n[i], _ = strconv.ParseFloat(f[6+i], 64)
		}
		w, h := float64(size.Width), float64(size.Height)
		box := [4]float64{n[0] / w, n[1] / h, (n[0] + n[2]) / w, (n[1] + n[3]) / h}
		if line := strings.Join(f[2:5], " "); line != last {
			block, _ := strconv.Atoi(f[2])
			par, _ := strconv.Atoi(f[3])
			page.Lines, last = append(page.Lines, parse.ScannedLine{Text: f[11], Box: box, Paragraph: block*1000 + par}), line
		} else {
			l := &page.Lines[len(page.Lines)-1]
			l.Text, l.Box = l.Text+" "+f[11], union(l.Box, box)
		}
		sum, chars = sum+n[4]/100*float64(len(f[11])), chars+len(f[11])
	}
	page.Confidence = sum / float64(max(chars, 1))
	return page, nil
}

// A realScan is a row of the manifest of sample documents.
type realScan struct {
	File          string
	Format        string
	Expect        string
	AlsoTolerable []string `json:"also_tolerable"`
	Needs         []string
	MustContain   []string `json:"must_contain"`
	Places        []struct {
		Text string
		Page int
	}
	Questions []struct {
		Q, A  string
		Place struct{ Page int }
	}
}

// beyondTesseract are the samples that the program does not read right by itself.
var beyondTesseract = map[string]string{
	"ocr_test_rotated_180.pdf": "it sees too few letters to tell that the page is upside down",
	"rotated_skew.pdf":         "it takes a skewed line for two columns",
}

// TestRealScans reads the scans among the sample documents with Tesseract, and
// prints what was found of each.
func TestRealScans(t *testing.T) {
	data := os.Getenv("ACERVO_TEST_DATA")
	if _, err := exec.LookPath("tesseract"); err != nil || data == "" || testing.Short() {
		t.Skip("needs tesseract, and ACERVO_TEST_DATA to name the sample documents")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pool := worker.New(worker.Config{
		Command: []string{self}, Env: []string{childReader + "=" + filepath.Join(os.TempDir(), "acervo-test-pdfium")},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	t.Cleanup(func() { pool.Close() })
	raw, err := os.ReadFile(filepath.Join(data, "files", "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var row realScan
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(row.Needs, "ocr") {
			t.Run(row.File, func(t *testing.T) { row.check(t, pool, filepath.Join(data, "files", row.File)) })
		}
	}
}

func (row realScan) check(t *testing.T, pool *worker.Pool, file string) {
	docs, home := t.TempDir(), t.TempDir()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docs, row.File), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	index, err := retrieval.Open(t.Context(), retrieval.Config{Dir: home})
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	ocr := &tesseract{}
	cfg := settings(docs, home, index, pool)
	cfg.OCR, cfg.Settle = ocr, crashQuiet
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	if _, err := c.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	all, _, err := c.List(Filter{})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d documents, %v", len(all), err)
	}
	d := all[0]
	t.Logf("%s: %s, %d of %d pages recognised in %.1f s, of which %.1f in the engine; %d chunks, %q, %+v", row.File, d.Status, ocr.pages, d.Pages, took.Seconds(), ocr.spent.Seconds(), d.Chunks, d.Warnings, d.Error)
	if row.Format == "heic" { // no decoder
		if d.Status != Failed || d.Error.Code != parse.Unsupported {
			t.Errorf("it is %s %+v", d.Status, d.Error)
		}
		return
	}
	if string(d.Status) != row.Expect && !slices.Contains(row.AlsoTolerable, string(d.Status)) {
		t.Errorf("it is %s, want %s", d.Status, row.Expect)
	}
	for n := range d.Pages {
		if image, err := c.Page(t.Context(), d.ID, n+1); err != nil || len(image) == 0 {
			t.Errorf("page %d cannot be drawn: %v", n+1, err)
		}
	}
	row.checkText(t, index, d)
}

func (row realScan) checkText(t *testing.T, index *retrieval.Index, d Document) {
	text := map[int]string{} // by page; 0 is all
	if d.Chunks > 0 {
		chunks, err := index.Chunks(t.Context(), d.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range chunks {
			words := strings.Join(strings.Fields(x.Text), " ") + " "
			text[x.Location.Page] += words
			text[0] += words
		}
	}
	lacks := t.Errorf
	if why := beyondTesseract[row.File]; why != "" {
		t.Logf("Tesseract alone is not enough: %s", why)
		lacks = t.Logf
	}
	for _, want := range row.MustContain {
		if !strings.Contains(text[0], want) {
			lacks("it lacks %q", want)
		}
	}
	for _, p := range row.Places {
		if !strings.Contains(text[p.Page], p.Text) {
			lacks("page %d lacks %q", p.Page, p.Text)
		}
	}
	for _, q := range row.Questions {
		res, err := index.Search(t.Context(), retrieval.Query{Text: q.Q, Mode: retrieval.Lexical, K: 3})
		if err != nil {
			t.Fatal(err)
		}
		pages := []string{}
		for _, h := range res.Hits {
			pages = append(pages, fmt.Sprint(h.Chunk.Location.Page))
		}
		t.Logf("%q (%q on page %d) finds pages %v by words alone", q.Q, q.A, q.Place.Page, pages)
	}
	if t.Failed() {
		t.Logf("text: %.3000s", text[0])
	}
}
