package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// quick are limits for a fake, whose answers take milliseconds.
var quick = limits{
	hello: 10 * time.Second, load: 10 * time.Second, stall: 10 * time.Second, cancel: 400 * time.Millisecond,
	ping: 50 * time.Millisecond, leave: 2 * time.Second, idle: time.Minute, units: 1000, rssMB: 1000,
	pause: 10 * time.Millisecond, rest: time.Minute, deaths: 5,
}

func ocrWorker(t *testing.T, bounds limits, command func() ([]string, error)) *rapid {
	t.Helper()
	w := newWorker(workerConfig{
		name: "ocr", command: command, limits: bounds, lease: newLease(nil, hwplan.OCR, hwplan.OnCPU),
		load: func(hwplan.Placement, hello) any { return map[string]any{} }, log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(w.close)
	return &rapid{worker: w}
}

// held is the child that a worker has now.
func held(w *worker) *child {
	w.turn <- struct{}{}
	defer w.exit()
	c, _ := w.child.(*child)
	return c
}

func picture(t *testing.T, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A page that kills one process is given to a second one.
func TestT0SecondChance(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "abort once", t.TempDir()))
	if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); err != nil {
		t.Error(err)
	}
	if len(r.worker.deaths) != 0 {
		t.Errorf("%d deaths are counted after a success", len(r.worker.deaths))
	}
}

// An engine that fails with an error of its own may fail from then on at everything: the page is given to another process.
func TestRefusalEndsTheProcess(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "lost card", t.TempDir()))
	for range 2 {
		if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); err != nil {
			t.Error(err)
		}
	}
	if len(r.worker.deaths) != 0 {
		t.Errorf("%d deaths are counted", len(r.worker.deaths))
	}
}

// One that fails at everything is left alone for a while, as one that dies is: it is not started for each page, twice.
func TestRefusalsAreCounted(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "always raises"))
	for range 2 {
		var fault *parse.Error
		if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); !errors.As(err, &fault) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after %d failures: %v", len(r.worker.deaths), err)
	}
}

// That the card has no memory free now is not the page's fault.
func TestFullCardBlamesNoPage(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "full card"))
	_, err := r.recognize(t.Context(), picture(t, 20, 10), "")
	var fault *parse.Error
	if !errors.Is(err, ErrUnavailable) || errors.As(err, &fault) {
		t.Errorf("error %v", err)
	}
}

func TestHardLimit(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "progress for ever"))
	_, _, err := r.worker.do(t.Context(), job{call: call{method: "ocr", params: map[string]string{}, limit: 600 * time.Millisecond}})
	var late *parse.Error
	if !errors.As(err, &late) || late.Code != parse.Timeout {
		t.Errorf("error %v", err)
	}
}

func TestMemoryLimit(t *testing.T) {
	for _, behaviour := range []string{"fat", "eats"} {
		bounds := quick
		bounds.rssMB = 200
		r := ocrWorker(t, bounds, fakeCommand("ocr", behaviour))
		_, _, err := r.worker.do(t.Context(), pace(t, 5))
		if err == nil || !strings.Contains(err.Error(), "MB of memory") {
			t.Errorf("%s: error %v", behaviour, err)
		}
	}
}

// pace is a job that takes so many seconds.
func pace(t *testing.T, seconds float64) job {
	t.Helper()
	image := picture(t, 20, 10)
	return job{call: call{method: "ocr", limit: time.Minute}, prepare: func(dir string) (any, error) {
		path := filepath.Join(dir, "page")
		return map[string]any{"path": path, "pace_s": seconds}, os.WriteFile(path, image, 0o600)
	}}
}

func TestT0RestartBudget(t *testing.T) {
	bounds := quick
	bounds.deaths = 3
	r := ocrWorker(t, bounds, fakeCommand("ocr", "broken"))
	for i := range 3 {
		if _, _, err := r.worker.do(t.Context(), pace(t, 0)); len(r.worker.deaths) != i+1 {
			t.Fatalf("call %d: %d deaths, %v", i, len(r.worker.deaths), err)
		}
	}
	_, _, err := r.worker.do(t.Context(), pace(t, 0))
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "libcudnn_ops") || len(r.worker.deaths) != 3 {
		t.Errorf("after three deaths: %v", err)
	}
	r.worker.deaths[2] = time.Now().Add(-2 * bounds.rest)
	if _, _, err := r.worker.do(t.Context(), pace(t, 0)); len(r.worker.deaths) != 1 {
		t.Errorf("after a rest it was not tried: %v", err)
	}
}

func TestT0BackOff(t *testing.T) {
	bounds := quick
	bounds.pause = 150 * time.Millisecond
	r := ocrWorker(t, bounds, fakeCommand("ocr", "broken"))
	_, _, _ = r.worker.do(t.Context(), pace(t, 0))
	_, _, _ = r.worker.do(t.Context(), pace(t, 0))
	start := time.Now()
	_, _, _ = r.worker.do(t.Context(), pace(t, 0))
	if waited := time.Since(start); waited < 250*time.Millisecond {
		t.Errorf("the third start came after %s", waited)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := r.worker.do(ctx, pace(t, 0)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled while it waits: %v", err)
	}
}

func TestT0IdleExit(t *testing.T) {
	bounds := quick
	bounds.idle = 100 * time.Millisecond
	r := ocrWorker(t, bounds, fakeCommand("ocr", "good"))
	if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); err != nil {
		t.Fatal(err)
	}
	child := held(r.worker)
	select {
	case <-child.done:
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
	if code := child.process.State().ExitCode(); code != 0 {
		t.Errorf("it did not leave of its own: %s", child.process.State())
	}
	if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := os.Stat(child.process.Dir); !os.IsNotExist(err) {
		t.Errorf("its directory is left: %v", err)
	}
}

func TestRecycle(t *testing.T) {
	bounds := quick
	bounds.units = 2
	r := ocrWorker(t, bounds, fakeCommand("ocr", "good"))
	var children []*child
	for range 4 {
		if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); err != nil {
			t.Fatal(err)
		}
		children = append(children, held(r.worker))
	}
	if children[0] == nil || children[1] != nil || children[2] == nil || children[2] == children[0] || children[3] != nil {
		t.Errorf("children %v", children)
	}
}

// One that heeds neither bye nor the end of its input is killed.
func TestDeaf(t *testing.T) {
	bounds := quick
	bounds.leave = 100 * time.Millisecond
	r := ocrWorker(t, bounds, fakeCommand("ocr", "deaf"))
	if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); err != nil {
		t.Fatal(err)
	}
	child, start := held(r.worker), time.Now()
	r.worker.close()
	if !gone(child.process.PID()) || time.Since(start) > 20*time.Second {
		t.Errorf("closed after %s", time.Since(start))
	}
	if _, err := r.recognize(t.Context(), picture(t, 20, 10), ""); !errors.Is(err, ErrClosed) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestCloseEndsTheCall(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "good"))
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			if _, _, err := r.worker.do(t.Context(), pace(t, 0.2)); err != nil && !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	r.worker.close()
	calls.Wait()
}

// What a child still finishes after a cancel is not whole, as its events were not taken in any more. It goes on living.
func TestCancelLate(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("speech", "late"))
	r.worker.cfg.name = "speech"
	ctx, cancel := context.WithCancel(t.Context())
	events := 0
	event := func(string, json.RawMessage) error {
		events++
		cancel()
		return nil
	}
	params := map[string]any{"path": tone(t, 20), "window_s": 10, "pace_s": 3600}
	do := job{call: call{method: "transcribe", params: params, limit: time.Minute, event: event}}
	if ok, _, err := r.worker.do(ctx, do); !errors.Is(err, context.Canceled) || ok != nil || events != 1 {
		t.Errorf("%d events, %s, error %v", events, ok, err)
	}
	if child := held(r.worker); child == nil || !alive(child) || len(r.worker.deaths) != 0 {
		t.Error("the child does not live on")
	}
}

// A call that heeds no cancel costs the process, and only that.
func TestT0CancelHang(t *testing.T) {
	r := ocrWorker(t, quick, fakeCommand("ocr", "hang"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := r.worker.do(ctx, pace(t, 0)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if len(r.worker.deaths) != 0 {
		t.Error("a cancel is counted as a death")
	}
}
