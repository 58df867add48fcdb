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

	ps "github.com/shirou/gopsutil/v4/process"
)

// What the way through Acervo costs: each benchmark gives the same input in turns to an engine of ours and to the
// bare one, which is loaded once, too. "ratio" is our share of the bare engine's rate; "cpu-ratio" is that of the
// processor time, which other work on the machine disturbs less.

// A bareEngine is an engine with nothing of ours around it: it reads a path a line, and answers each with a line.
type bareEngine struct {
	pid int
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
	return &bareEngine{pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
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

// A contender is one side of a comparison.
type contender struct {
	run       func() error
	processes func() []int // that do the work; nil: they end with each run

	wall time.Duration
	cpu  float64 // seconds
}

func (c *contender) once(b *testing.B) {
	b.Helper()
	before, start := c.seconds(b), time.Now()
	if err := c.run(); err != nil {
		b.Fatal(err)
	}
	c.wall += time.Since(start)
	c.cpu += c.seconds(b) - before
}

// seconds are those of processor time that the processes have taken.
func (c *contender) seconds(b *testing.B) (sum float64) {
	b.Helper()
	if c.processes == nil {
		return 0
	}
	for _, pid := range c.processes() {
		p, err := ps.NewProcess(int32(pid))
		if err != nil {
			b.Fatal(err)
		}
		times, err := p.Times()
		if err != nil {
			b.Fatal(err)
		}
		sum += times.User + times.System
	}
	return sum
}

// compare runs both in turns, after one run of each that loads what there is to load, and reports the rates: units is
// what a run does, times the seconds of what it is reported by.
func compare(b *testing.B, units float64, what string, ours, bare *contender) {
	b.Helper()
	for _, c := range []*contender{ours, bare} {
		if err := c.run(); err != nil {
			b.Fatal(err)
		}
	}
	for n := 0; b.Loop(); n++ {
		for i := range 2 {
			[]*contender{ours, bare}[(n+i)%2].once(b)
		}
	}
	total := units * float64(b.N)
	b.ReportMetric(total/ours.wall.Seconds(), what)
	b.ReportMetric(total/bare.wall.Seconds(), "bare-"+what)
	b.ReportMetric(bare.wall.Seconds()/ours.wall.Seconds(), "ratio")
	if ours.cpu > 0 {
		b.ReportMetric(bare.cpu/ours.cpu, "cpu-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

// scannedPage is a page at 300 dpi, and a file of it.
func scannedPage(b *testing.B) (image []byte, path string) {
	b.Helper()
	program(b, "pdftoppm")
	image = pages(b, sharedFile(b, "files/contrato-escaneado.pdf"))[0]
	path = filepath.Join(b.TempDir(), "page.jpg")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		b.Fatal(err)
	}
	return image, path
}

func BenchmarkRapidOCR(b *testing.B) {
	o, bare := newTestOCR(b, engineRapid), startBare(b, bareOCR)
	image, path := scannedPage(b)
	compare(b, 60, "pages/min",
		&contender{run: func() error {
			_, err := o.Recognize(context.Background(), image, "")
			return err
		}, processes: withSelf(o.workers[0])},
		&contender{run: func() error { return bare.run(path) }, processes: func() []int { return []int{bare.pid} }})
}

func BenchmarkTesseract(b *testing.B) {
	program(b, "tesseract")
	o := newTestOCR(b, engineTesseract)
	image, path := scannedPage(b)
	compare(b, 60, "pages/min",
		&contender{run: func() error {
			_, err := o.Recognize(context.Background(), image, "")
			return err
		}},
		&contender{run: func() error {
			cmd := exec.Command(engineTesseract, path, "stdout", "-l", defaultLanguages, "--dpi", "300", "--psm", "1", "tsv")
			cmd.Env = append(os.Environ(), "OMP_THREAD_LIMIT=1")
			return cmd.Run()
		}})
}

func BenchmarkSpeech(b *testing.B) {
	s, bare := newTestSpeech(b), startBare(b, bareSpeech, testModel(b))
	// One language: of several the bare model, which takes all for the first, writes a third less.
	path := sharedFile(b, "audio/sample_10s_audio-aac.aac")
	compare(b, 31.719, "audio-s/s",
		&contender{run: func() error {
			_, err := s.Transcribe(context.Background(), path, 0, nil)
			return err
		}, processes: withSelf(s.worker)},
		&contender{run: func() error { return bare.run(path) }, processes: func() []int { return []int{bare.pid} }})
}

// withSelf are a worker's process and this one, which cares for it.
func withSelf(w *worker) func() []int {
	return func() []int { return []int{w.child.(*child).process.PID(), os.Getpid()} }
}
