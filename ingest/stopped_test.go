package ingest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// soon waits a while for something to be so.
func soon(so func() bool) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if so() {
			return true
		}
	}
	return so()
}

// TestStopIsNoCrash: the system may kill a program that takes too long to stop. That is not held against the page in hand.
func TestStopIsNoCrash(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	ctx, cancel := context.WithCancel(t.Context())
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		id := w.doc("mixto.pdf").ID
		if got := w.scans.read(id, n).Begun; got != 1 {
			t.Errorf("page %d was begun %d times", n, got)
		}
		cancel()
		if !soon(func() bool { return w.scans.read(id, n).Begun == 0 }) {
			t.Errorf("page %d counts as begun while the program stops", n)
		}
		return parse.ScannedPage{}, context.Canceled
	})
	if _, err := w.Sync(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A slowStop is a transcriber that is slow to stop.
type slowStop func(ctx context.Context)

func (s slowStop) Transcribe(ctx context.Context, _ string, _ float64, _ func(parse.Transcript, float64, float64)) (parse.Transcript, error) {
	s(ctx)
	return parse.Transcript{}, ctx.Err()
}

// TestStopIsNoCrashOfAWindow: nor is it against the window.
func TestStopIsNoCrashOfAWindow(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.cfg.Speech = slowStop(func(context.Context) {
		id := w.doc("a.mp3").ID
		if got := w.readHearing(id).Begun; got != 1 {
			t.Errorf("the window was begun %d times", got)
		}
		cancel()
		if !soon(func() bool { return w.readHearing(id).Begun == 0 }) {
			t.Error("the window counts as begun while the program stops")
		}
	})
	w.reopen()
	w.write("a.mp3", "SOUND")
	if _, err := w.Sync(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
