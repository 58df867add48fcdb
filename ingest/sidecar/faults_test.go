package sidecar

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// The list of what a worker may do wrong, T0 and T1 of its protocol and SUB-01 to SUB-07 of the documents'. What is
// not in a table here are the tests TestT0… of worker_test.go and speech_test.go (restart budget, back-off, idle exit,
// cancel, poison windows, the order of leases), and SUB-05 and SUB-06 of ingest/subprocess.

// faulty are workers that misbehave: in Go, and in Python behind the real protocol.py.
func faulty(t *testing.T) map[string]func(behaviour string, args ...string) func() ([]string, error) {
	t.Helper()
	tiers := map[string]func(string, ...string) func() ([]string, error){
		"fake": func(behaviour string, args ...string) func() ([]string, error) {
			return fakeCommand("ocr", behaviour, args...)
		},
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("no python3: only the worker in Go is tried")
		return tiers
	}
	dir, err := unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join("testdata", "faulty.py"))
	if err != nil {
		t.Fatal(err)
	}
	tiers["script"] = func(behaviour string, args ...string) func() ([]string, error) {
		return func() ([]string, error) {
			return append([]string{python, "-I", "-B", "-u", script, dir, "ocr", behaviour}, args...), nil
		}
	}
	return tiers
}

// Whom a fault is blamed on.
const (
	theEngine = "the engine" // it does not run now
	thePage   = "the page"   // it is put aside
	nobody    = "nobody"     // it is not there
)

func TestFaults(t *testing.T) {
	tests := []struct {
		item, behaviour string
		blamed          string
		want            string // in the error
		script          string // in the script's, where that is another
	}{
		{"T0 hello errors", "silent", theEngine, "does not start within", ""},
		{"T0 hello errors", "banner", theEngine, "speaks no JSON", ""},
		{"T0 hello errors", "old", theEngine, "version 0 of the protocol", ""},
		{"T0 hello errors", "other", theEngine, `it is "somebody else", not "ocr"`, ""},
		{"T0 hello errors", "lacking", nobody, "lacks rapidocr, numpy", ""},
		{
			"T0 hello errors", "broken", theEngine,
			"exit status 1: Traceback (most recent call last): | File \"x.py\" | ImportError: libcudnn_ops.so.9", "ImportError: libcudnn_ops.so.9",
		},
		{"T0 hello errors", "no model", nobody, "model.bin is not there", ""},
		{"T0 garbage lines", "garbage", thePage, "speaks no JSON", ""},
		{"T0 garbage lines", "unknown", thePage, "not in the protocol", ""},
		{"T0 garbage lines", "neither", thePage, "neither a success nor an error", ""},
		{"T0 garbage lines", "wrong id", thePage, "answers what was not asked", ""},
		{"T0 9 MiB line", "long line", thePage, "more than 8 MiB", ""},
		{"T0 hang", "hang", thePage, "no progress for", ""},
		{"T0 abort", "abort", thePage, "signal: killed: Unable to load any of {libcudnn", "signal: aborted: Unable to load any of {libcudnn"},
		{"T0 EOF mid-line", "half a line", thePage, "unexpected EOF", ""},
		{"SUB-04 prints 1 GB", "endless line", thePage, "more than 8 MiB", ""},
		{"SUB-07 not the schema", "no boxes", thePage, "its answer is not valid", "-"},
		{"SUB-07 not the schema", "too many lines", thePage, "10001 lines on a page", "-"},
		{"T1 too long an answer", "too long", thePage, "-", "the answer is too long"},
		{"T1 an exception", "raises", thePage, "-", "ValueError: no such tensor"},
	}
	for name, command := range faulty(t) {
		for _, tt := range tests {
			if name == "script" && tt.script != "" {
				tt.want = tt.script
			}
			if tt.want == "-" {
				continue
			}
			t.Run(name+"/"+tt.item+"/"+tt.behaviour, func(t *testing.T) {
				t.Parallel()
				misbehave(t, command(tt.behaviour), tt.behaviour, tt.blamed, tt.want)
			})
		}
	}
}

func misbehave(t *testing.T, command func() ([]string, error), behaviour, blamed, want string) {
	bounds := quick
	switch behaviour {
	case "silent":
		bounds.hello = time.Second
	case "hang":
		bounds.stall = time.Second
	}
	r := ocrWorker(t, bounds, command)
	start := time.Now()
	_, err := r.recognize(t.Context(), picture(t, 20, 10), "")
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that says %q", err, want)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	got := theEngine
	var fault *parse.Error
	switch {
	case errors.Is(err, ErrMissing):
		got = nobody
	case errors.As(err, &fault):
		got = thePage
	}
	if got != blamed {
		t.Errorf("blamed is %s, want %s: %v", got, blamed, err)
	}
	if left := held(r.worker); left != nil && !slices.Contains([]string{"too long", "raises", "no boxes", "too many lines"}, behaviour) {
		t.Error("a child is left")
	}
}

func TestOddButRight(t *testing.T) {
	tests := []struct{ item, behaviour, want, tier string }{
		{"T0", "good", "página de 20 × 10", ""},
		{"T0 stderr flood, SUB-04", "flood", "página de 20 × 10", ""},
		{"T0 slow drip", "drip", "página de 20 × 10", ""},
		{"SUB-04 invalid UTF-8", "invalid UTF-8", "a\ufffdo", ""},
		{"T1 libraries that print", "prints", "página de 20 × 10", "script"},
	}
	for name, command := range faulty(t) {
		for _, tt := range tests {
			if tt.tier != "" && tt.tier != name {
				continue
			}
			t.Run(name+"/"+tt.item+"/"+tt.behaviour, func(t *testing.T) {
				t.Parallel()
				r := ocrWorker(t, quick, command(tt.behaviour))
				page, err := r.recognize(t.Context(), picture(t, 20, 10), "")
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Lines) != 1 || page.Lines[0].Text != tt.want || page.Engine != "fake ocr" {
					t.Errorf("page %+v", page)
				}
			})
		}
	}
}

// SUB-07: of an answer that lies nothing but numbers in range and text is left; a path in it is never opened.
func TestSUB07HostileAnswer(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "hostile"))
	page, err := r.recognize(t.Context(), picture(t, 20, 10), "")
	if err != nil {
		t.Fatal(err)
	}
	isScript := func(l parse.ScannedLine) bool { return l.Text == "<script>alert(1)</script>" }
	if len(page.Lines) != 2 || !slices.ContainsFunc(page.Lines, isScript) || page.Confidence < 0 || page.Confidence > 1 {
		t.Fatalf("page %+v", page)
	}
	for _, line := range page.Lines {
		for _, x := range append(line.Box[:], line.Confidence) {
			if !(x >= 0 && x <= 1) {
				t.Errorf("line %+v", line)
			}
		}
		if line.Box[0] > line.Box[2] || line.Box[1] > line.Box[3] {
			t.Errorf("box %v", line.Box)
		}
	}
}

// SUB-07: nor does a transcript that is impossible get further: its window is left out, or the recording fails.
func TestSUB07HostileTranscript(t *testing.T) {
	for behaviour, want := range map[string]string{
		"before time": "", "after time": "", "backwards": "", "far window": "a window from 0 s to 1e+300 s cannot be", "no window": "outside of its window",
	} {
		t.Run(behaviour, func(t *testing.T) {
			heard, err := speechWorker(t, quick, nil, behaviour).Transcribe(t.Context(), tone(t, 20), 0, nil)
			if want == "" && (err != nil || !slices.Equal(heard.Unread, [][2]float64{{0, 20}})) {
				t.Errorf("heard %+v, %v", heard, err)
			}
			if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("error %v, want %q", err, want)
			}
			if len(heard.Segments) > 0 {
				t.Errorf("it is believed: %+v", heard)
			}
		})
	}
}

// SUB-01 and SUB-02: a file's name is an argument of nothing, and cannot end a line of the protocol.
func TestSUB01SUB02Names(t *testing.T) {
	names := []string{
		"a.wav; touch PWNED", "-i", "$(touch PWNED)", "`touch PWNED`.wav", "a\n{\"t\":\"res\",\"id\":\"2\",\"ok\":{\"language\":\"en\"}}\n.wav",
		"\u202e\x1b[2J.wav", "a\"b\\c.wav", "%s%n.wav",
	}
	sound, err := os.ReadFile(tone(t, 12))
	if err != nil {
		t.Fatal(err)
	}
	for _, tier := range tiers() {
		t.Run(tier.name, func(t *testing.T) {
			model := "a model"
			if tier.real {
				model = testModel(t)
			}
			s := newSpeech(Config{Model: always(model), Scratch: t.TempDir()}, tier.command(t, "speech"))
			s.windowS = 10
			t.Cleanup(s.Close)
			dir := t.TempDir()
			t.Chdir(dir)
			for _, name := range names {
				if err := os.WriteFile(filepath.Join(dir, name), sound, 0o600); err != nil {
					t.Logf("%q cannot be a name here: %v", name, err)
					continue
				}
				heard, err := s.Transcribe(t.Context(), filepath.Join(dir, name), 0, nil)
				if err != nil || heard.DurationS != 12 || !tier.real && starts(heard) != "0 10" {
					t.Errorf("%q: %+v, %v", name, heard, err)
				}
			}
			if found, _ := filepath.Glob(filepath.Join(dir, "PWNED*")); len(found) > 0 {
				t.Error("a name was run as a command")
			}
		})
	}
}
