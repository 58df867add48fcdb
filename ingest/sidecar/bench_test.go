package sidecar

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the way through Acervo costs: each benchmark gives the same input in turns to an engine of ours and to the
// bare one, which is loaded once, too. "ratio" is our share of the bare engine's rate.

// A bareEngine is an engine with nothing of ours around it: it reads a path a line, and answers each with a line.
type bareEngine struct {
	in  io.Writer
	out *bufio.Reader
}

const bareOCR = `
import sys
from rapidocr import RapidOCR
engine = RapidOCR(params={"Global.log_level": "error"})
for line in sys.stdin:
    result = engine(line.strip())
    print(len(result.txts or ()), flush=True)
`

const bareSpeech = `
import sys
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", local_files_only=True)
for line in sys.stdin:
    segments, _ = model.transcribe(line.strip(), vad_filter=True)
    print(len(list(segments)), flush=True)
`

func startBare(b *testing.B, script string, args ...string) *bareEngine {
	b.Helper()
	cmd := exec.Command(testPython(b), append([]string{"-c", script}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &bareEngine{in: in, out: bufio.NewReader(out)}
}

func (e *bareEngine) run(path string) error {
	if _, err := fmt.Fprintln(e.in, path); err != nil {
		return err
	}
	found, err := e.out.ReadString('\n')
	if err == nil && strings.TrimSpace(found) == "0" {
		err = fmt.Errorf("the bare engine finds nothing in %s", path)
	}
	return err
}

// compare runs both in turns, after one run of each that loads what there is to load, and reports the rates: units is
// what a run does, times the seconds of what it is reported by.
func compare(b *testing.B, units float64, what string, ours, bare func() error) {
	b.Helper()
	var spent [2]time.Duration
	one := func(which int) {
		run := []func() error{ours, bare}[which]
		start := time.Now()
		if err := run(); err != nil {
			b.Fatal(err)
		}
		spent[which] += time.Since(start)
	}
	one(0)
	one(1)
	spent = [2]time.Duration{}
	for n := 0; b.Loop(); n++ {
		one(n % 2)
		one(1 - n%2)
	}
	total := units * float64(b.N)
	b.ReportMetric(total/spent[0].Seconds(), what)
	b.ReportMetric(total/spent[1].Seconds(), "bare-"+what)
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// pagesPerMinute compares OCR on one page.
func pagesPerMinute(b *testing.B, o *OCR, image []byte, bare func(path string) error) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "page.jpg")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		b.Fatal(err)
	}
	ours := func() error {
		_, err := o.Recognize(context.Background(), image, "")
		return err
	}
	compare(b, 60, "pages/min", ours, func() error { return bare(path) })
}

func BenchmarkRapidOCR(b *testing.B) {
	o := newTestOCR(b, engineRapid)
	pagesPerMinute(b, o, pages(b, sharedFile(b, "files/contrato-escaneado.pdf"))[0], startBare(b, bareOCR).run)
}

func BenchmarkTesseract(b *testing.B) {
	program(b, "tesseract", "pdftoppm")
	pagesPerMinute(b, newTestOCR(b, engineTesseract), pages(b, sharedFile(b, "files/contrato-escaneado.pdf"))[0], func(path string) error {
		cmd := exec.Command("tesseract", path, "stdout", "-l", defaultLanguages, "--dpi", "300", "--psm", "1", "tsv")
		cmd.Env = append(os.Environ(), "OMP_THREAD_LIMIT=1")
		return cmd.Run()
	})
}

func BenchmarkSpeech(b *testing.B) {
	s := newTestSpeech(b)
	path := sharedFile(b, "audio/multilingual.mp3")
	ours := func() error {
		_, err := s.Transcribe(context.Background(), path, 0, nil)
		return err
	}
	bare := startBare(b, bareSpeech, testModel(b))
	compare(b, 59.952, "audio-s/s", ours, func() error { return bare.run(path) })
}
