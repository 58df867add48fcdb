package sidecar

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// rapidLimit is for one page, which may be read three times to find how it is turned.
const rapidLimit = 10 * time.Minute

// maxLines is how many lines no page has. RapidOCR itself looks for 1,000.
const maxLines = 10_000

// A rapid reads pages with RapidOCR, in a Python worker.
type rapid struct{ worker *worker }

func newRapid(cfg Config, shared *lease) *rapid {
	return &rapid{worker: newWorker(workerConfig{
		name: "ocr", command: cfg.script("ocr.py", missingRapid, ProfileOCR), scratch: cfg.Scratch, env: threadsOnly,
		limits: ocrLimits, lease: shared, log: cfg.log(),
		load: func(p hwplan.Placement, _ hello) any { return map[string]any{"threads": threads(p)} },
	})}
}

// What mends it where an engine is not installed.
const (
	missingRapid   = "RapidOCR: `acervo setup ocr` installs it"
	missingSpeech  = "faster-whisper: `acervo setup speech` installs it"
	missingWhisper = "a Whisper model: `acervo setup speech` fetches it, or speech.model names the directory of one"
)

// RapidInstalled reports whether an environment is there that RapidOCR may be in: whether it is, only its start tells.
func RapidInstalled(cfg Config) bool { return cfg.python(ProfileOCR) != "" }

// script returns what starts one of the Python workers, in the first of the profiles
// that is there. Missing is what the error says where none is.
func (c Config) script(name, missing string, profiles ...Profile) func() ([]string, error) {
	return func() ([]string, error) {
		named := c.python(profiles...)
		if named == "" {
			return nil, fmt.Errorf("%w: %s", ErrMissing, missing)
		}
		python, err := exec.LookPath(named)
		if err != nil {
			return nil, fmt.Errorf("%w: workers.python: %w", ErrMissing, err)
		}
		dir, err := unpack(c.Cache)
		if err != nil {
			return nil, err
		}
		// It is started in a directory of its own.
		if python, err = filepath.Abs(python); err == nil {
			dir, err = filepath.Abs(dir)
		}
		if err != nil {
			return nil, err
		}
		return []string{python, "-I", "-B", "-u", filepath.Join(dir, name)}, nil
	}
}

// threads are how many a worker may use: what the plan says, else the machine's, of which more than eight gain nothing.
func threads(p hwplan.Placement) int {
	if p.NumThread > 0 {
		return p.NumThread
	}
	return min(8, runtime.NumCPU())
}

func threadsOnly(p hwplan.Placement) []string {
	return []string{"OMP_NUM_THREADS=" + strconv.Itoa(threads(p))}
}

// A rapidPage is the worker's answer. Boxes are pixels of the image turned by so many quarters, clockwise.
type rapidPage struct {
	Turns  int         `json:"turns"`
	Width  float64     `json:"width"`
	Height float64     `json:"height"`
	Lines  []rapidLine `json:"lines"`
}

type rapidLine struct {
	Text        string     `json:"text"`
	Probability float64    `json:"p"`
	Box         [4]float64 `json:"box"`
}

// recognize reads an image. A page over which the worker dies, or fails, is given to a second one, not to a third.
func (r *rapid) recognize(ctx context.Context, image []byte, _ string) (parse.ScannedPage, error) {
	page, err := r.read(ctx, image)
	if anotherMay(err) {
		page, err = r.read(ctx, image)
	}
	return page, outcome(err)
}

func (r *rapid) read(ctx context.Context, image []byte) (parse.ScannedPage, error) {
	ok, engine, err := r.worker.do(ctx, job{
		call: call{method: "ocr", limit: rapidLimit},
		prepare: func(dir string) (any, error) {
			path := filepath.Join(dir, "page")
			return map[string]string{"path": path}, os.WriteFile(path, image, 0o600)
		},
	})
	if err != nil {
		return parse.ScannedPage{}, err
	}
	var answer rapidPage
	if err := json.Unmarshal(ok, &answer); err != nil {
		return parse.ScannedPage{}, &refusal{Code: codeInternal, Message: "its answer is not valid: " + err.Error()}
	}
	if len(answer.Lines) > maxLines {
		return parse.ScannedPage{}, &refusal{Code: codeInternal, Message: fmt.Sprintf("it finds %d lines on a page", len(answer.Lines))}
	}
	page := answer.page()
	page.Engine = engine.Engine
	return page, nil
}

// page puts together what was found, in reading order: pieces of one row become a line, and lines that stand together a paragraph.
func (r rapidPage) page() parse.ScannedPage {
	var page parse.ScannedPage
	var upright [][4]float64
	paragraph := 0
	for _, piece := range readingOrder(r.Lines) {
		text := strings.TrimSpace(strings.ToValidUTF8(piece.Text, "\uFFFD"))
		if text == "" || r.Width <= 0 || r.Height <= 0 || math.IsNaN(piece.Probability) {
			continue
		}
		n := len(page.Lines) - 1
		if n >= 0 && sameLine(upright[n], piece.Box) {
			page.Lines[n] = merge(page.Lines[n], text, within(piece.Probability))
			upright[n] = union(upright[n], piece.Box)
			continue
		}
		if n < 0 || !sameParagraph(upright[n], piece.Box) {
			paragraph++
		}
		page.Lines = append(page.Lines, parse.ScannedLine{Text: text, Confidence: within(piece.Probability), Paragraph: paragraph})
		upright = append(upright, piece.Box)
	}
	for i, box := range upright {
		page.Lines[i].Box = turnBack(part(box, r.Width, r.Height), r.Turns)
	}
	page.Confidence = confidence(page.Lines)
	return page
}

func merge(line parse.ScannedLine, text string, probability float64) parse.ScannedLine {
	a, b := float64(utf8.RuneCountInString(line.Text)), float64(utf8.RuneCountInString(text))
	line.Confidence = (line.Confidence*a + probability*b) / (a + b)
	line.Text += " " + text
	return line
}

// sameLine reports whether b goes on where a ends: on the same height, no further away than a wide space.
func sameLine(a, b [4]float64) bool {
	low := min(a[3]-a[1], b[3]-b[1])
	return level(a, b) && b[0]-a[2] > -low/2 && b[0]-a[2] < 1.5*low
}

// level reports whether two boxes stand on the same height.
func level(a, b [4]float64) bool {
	return min(a[3], b[3])-max(a[1], b[1]) > 0.6*min(a[3]-a[1], b[3]-b[1])
}

// sameParagraph reports whether b is a line like a, right below it.
func sameParagraph(a, b [4]float64) bool {
	high, next := a[3]-a[1], b[3]-b[1]
	return b[1]-a[3] < 0.7*high && b[1] > a[1] && b[0] < a[2] && b[2] > a[0] && next < 1.6*high && high < 1.6*next
}
