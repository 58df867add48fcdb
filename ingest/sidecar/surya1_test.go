package sidecar

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// standInSurya1 is the engine with the real script and a stand-in for surya-ocr, torch and Pillow, whose models are complete.
func standInSurya1(t *testing.T, planner *hwplan.Planner) (*rapid, string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	scripts, err := unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, err := filepath.Abs(filepath.Join("testdata", "surya1", "run.py"))
	if err != nil {
		t.Fatal(err)
	}
	models := t.TempDir()
	for _, name := range []string{"text_recognition/2025_09_23", "text_detection/2025_05_07"} {
		dir := filepath.Join(models, filepath.FromSlash(name))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"files": []}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Config{Python: python, SuryaModel: models, Scratch: t.TempDir()}
	r := newSurya1(cfg, newLease(lends(planner), hwplan.OCR, ""))
	r.worker.cfg.command = func() ([]string, error) {
		return []string{python, "-I", "-B", "-u", run, scripts, "--engine", engineSurya1}, nil
	}
	t.Cleanup(r.worker.close)
	return r, models
}

func ocrPlanner(p hwplan.Placement) *hwplan.Planner {
	return hwplan.NewPlanner(hwplan.Plan{
		GPU: hwplan.Budget{TotalBytes: 6 << 30, FreeBytes: 6 << 30}, Lent: map[hwplan.Role]hwplan.Placement{hwplan.OCR: p},
	})
}

// The batches are those of the plan: by itself Surya 1 takes 20 GB.
func TestSurya1(t *testing.T) {
	for _, tt := range []struct {
		placement hwplan.Placement
		sizes     string
	}{
		{hwplan.Placement{Device: hwplan.OnGPU, VRAMBytes: 4 << 30, Batch: 52}, "cuda 52 2"},
		{hwplan.Placement{Device: hwplan.OnCPU, NumThread: 4}, "cpu 8 1"},
	} {
		t.Run(string(tt.placement.Device), func(t *testing.T) {
			planner := ocrPlanner(tt.placement)
			r, _ := standInSurya1(t, planner)
			page, err := r.recognize(t.Context(), picture(t, 1000, 1000), "")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range page.Lines {
				got = append(got, line.Text)
			}
			if want := []string{"Cláusula primera & x^2", tt.sizes, "---"}; !slices.Equal(got, want) {
				t.Errorf("lines %q, want %q", got, want)
			}
			if page.Engine != "surya-ocr 0.17.1" || page.Lines[2].Confidence != 0 || !near(page.Lines[0].Box, [4]float64{0.1, 0.1, 0.9, 0.15}, 1e-9) {
				t.Errorf("page %+v", page)
			}
			var fault *parse.Error
			if _, err := r.recognize(t.Context(), []byte("no picture"), ""); !errors.As(err, &fault) || fault.Code != parse.Corrupt {
				t.Errorf("no picture: %v", err)
			}
			r.worker.close()
			if u := planner.Usage(); u.GPU.LentBytes+u.RAM.LentBytes != 0 {
				t.Errorf("left: %+v", u)
			}
		})
	}
}

// What is missing of a model is said, not fetched.
func TestSurya1WithoutModel(t *testing.T) {
	r, models := standInSurya1(t, ocrPlanner(hwplan.Placement{Device: hwplan.OnCPU}))
	if err := os.RemoveAll(filepath.Join(models, "text_detection")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "text_detection/2025_05_07") {
		t.Errorf("error %v", err)
	}
}

func TestSurya1WithoutPython(t *testing.T) {
	o, err := NewOCR(Config{Engine: engineSurya1})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := o.Recognize(t.Context(), picture(t, 20, 10), ""); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "surya-ocr==0.17") {
		t.Errorf("error %v", err)
	}
}
