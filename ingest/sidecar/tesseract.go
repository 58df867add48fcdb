package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

const (
	defaultLanguages = "spa+eng"
	tesseractMends   = "apt install tesseract-ocr tesseract-ocr-spa"
	// tesseractLimit is for one run; 5 to 9 seconds are usual for a page.
	tesseractLimit = 3 * time.Minute
	// sure is a confidence at which a page is read rightly: whoever is below it tries another way, or another engine.
	sure = 0.75
	// maxTSV is more than a page can say.
	maxTSV = 64 << 20
)

// A tesseract reads pages with the tesseract program, a process a page.
type tesseract struct {
	command   string // looked up in PATH
	languages string
	scratch   string // where its directories are made
	lease     *lease

	mu      sync.Mutex
	version string
}

func newTesseract(cfg Config, shared *lease) *tesseract {
	return &tesseract{command: engineTesseract, languages: cmp.Or(cfg.Languages, defaultLanguages), scratch: cfg.Scratch, lease: shared}
}

// recognize reads an image. Tesseract finds out which way a page is turned where it has enough letters; where it
// remains unsure of what it read, the page is tried the other three ways.
func (t *tesseract) recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error) {
	got, err := t.lease.take(ctx)
	if err != nil && !errors.Is(err, hwplan.ErrWontFit) { // it takes less than a plan counts
		return parse.ScannedPage{}, err
	}
	defer got.end()
	page, err := t.read(ctx, image, languages, "1")
	if err == nil && page.Confidence < sure {
		if page, err = t.turned(ctx, page, image, languages); len(page.Lines) > 0 {
			err = nil // what was read badly is worth more than nothing
		}
	}
	if err != nil {
		return parse.ScannedPage{}, err
	}
	page.Engine, err = t.name(ctx)
	return page, err
}

// turned tries the page on its head and on its sides, and returns what is read best.
func (t *tesseract) turned(ctx context.Context, best parse.ScannedPage, image []byte, languages string) (parse.ScannedPage, error) {
	gray, err := decodeGray(image)
	if err != nil || len(best.Lines) == 0 && !hasInk(gray) {
		return best, err
	}
	for _, quarters := range []int{2, 1, 3} {
		data, err := encodeGray(turn(gray, quarters))
		if err != nil {
			return best, err
		}
		page, err := t.read(ctx, data, languages, "3")
		if err != nil {
			return best, err
		}
		for i := range page.Lines {
			page.Lines[i].Box = turnBack(page.Lines[i].Box, quarters)
		}
		if page.Confidence > best.Confidence {
			best = page
		}
		if best.Confidence >= sure {
			break
		}
	}
	return best, nil
}

// read is one run. Mode is Tesseract's page segmentation: 1 is automatic with orientation, 3 without.
func (t *tesseract) read(ctx context.Context, image []byte, languages, mode string) (parse.ScannedPage, error) {
	args := []string{"stdin", "stdout", "-l", t.choose(languages), "--dpi", "300", "--psm", mode, "tsv"}
	out, err := t.run(ctx, image, args...)
	if err != nil {
		return parse.ScannedPage{}, err
	}
	page, err := parseTSV(out)
	if err != nil {
		return page, parse.Errorf(parse.Crashed, "%s", err)
	}
	return page, nil
}

// run starts tesseract once. Its threads gain little and take the other pages' cores.
func (t *tesseract) run(ctx context.Context, stdin []byte, args ...string) (string, error) {
	path, err := exec.LookPath(t.command)
	if err != nil {
		return "", fmt.Errorf("%w: tesseract is not there: %s", ErrMissing, tesseractMends)
	}
	process, err := subprocess.Start(subprocess.Config{
		Command: append([]string{path}, args...), Env: []string{"OMP_THREAD_LIMIT=1"}, Name: engineTesseract, Scratch: t.scratch, Offline: true,
	})
	if err != nil {
		return "", fmt.Errorf("tesseract: %w", err)
	}
	var feeding sync.WaitGroup
	defer feeding.Wait()
	defer process.Close()
	limited, cancel := context.WithTimeout(ctx, tesseractLimit)
	defer cancel()
	defer context.AfterFunc(limited, process.Close)()
	feeding.Go(func() {
		_, _ = process.Stdin.Write(stdin) // one that does not read all of it says why
		_ = process.Stdin.Close()
	})
	out, err := io.ReadAll(io.LimitReader(process.Stdout, maxTSV+1))
	if len(out) > maxTSV {
		err = errors.New("too much output")
		process.Kill()
	}
	<-process.Ended()
	words := process.LastWords()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case limited.Err() != nil:
		return "", parse.Errorf(parse.Timeout, "tesseract took more than %s", tesseractLimit)
	case err == nil && process.State().Success():
		return string(out), nil
	case strings.Contains(words, "load any languages"), strings.Contains(words, "opening data file"):
		return "", fmt.Errorf("%w: tesseract has no data for these languages: %s", ErrMissing, tesseractMends)
	case err == nil:
		err = errors.New(process.State().String())
	}
	return "", parse.Errorf(parse.Crashed, "tesseract: %s: %s", err, words)
}

// codes are Tesseract's for those that the rest of the program knows by two letters.
var codes = map[string]string{
	"es": "spa", "en": "eng", "ca": "cat", "gl": "glg", "eu": "eus", "fr": "fra", "de": "deu", "it": "ita", "pt": "por",
}

// choose are the languages for Tesseract: those given, or the usual ones.
func (t *tesseract) choose(languages string) string {
	var out []string
	for _, l := range strings.FieldsFunc(languages, func(r rune) bool { return strings.ContainsRune("+,; ", r) }) {
		if code, ok := codes[l]; ok {
			l = code
		}
		out = append(out, l)
	}
	if len(out) == 0 {
		return t.languages
	}
	return strings.Join(out, "+")
}

// name is the engine's with its version, which is asked for once.
func (t *tesseract) name(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.version == "" {
		out, err := t.run(ctx, nil, "--version")
		if err != nil {
			return "", err
		}
		first, _, _ := strings.Cut(out, "\n")
		t.version = strings.TrimSpace(first)
	}
	return t.version, nil
}

// installed are the languages that Tesseract has data for.
func (t *tesseract) installed(ctx context.Context) ([]string, error) {
	out, err := t.run(ctx, nil, "--list-langs")
	if err != nil {
		return nil, err
	}
	_, list, _ := strings.Cut(out, "\n")
	return strings.Fields(list), nil
}
