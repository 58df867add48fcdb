package ingest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// othersWait waits until another document waits for an engine.
func (w *world) othersWait(engine string) {
	w.t.Helper()
	waits := func() bool {
		w.queue.mu.Lock()
		defer w.queue.mu.Unlock()
		return slices.ContainsFunc(w.queue.waiting, func(t task) bool { return t.engine == engine })
	}
	for end := time.Now().Add(10 * time.Second); !waits(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Errorf("nobody waits for %s", engine)
			return
		}
	}
}

// TestScansTakeTurns: a long scan lets a short one pass, and reads no page twice.
func TestScansTakeTurns(t *testing.T) {
	w, ocr := scanWorld(t)
	w.turn = 0
	w.write("largo.pdf", "PAGES 6")
	w.write("corto.pdf", "PAGES 2 and a note") // it is taken after the long one, as it has more bytes
	first := true
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		if first {
			w.othersWait("ocr")
		}
		first = false
		return scanned(n, 0.9), nil
	})
	w.sync()
	w.want(map[string]string{"largo.pdf": "ready", "corto.pdf": "ready"})
	var order []string
	for _, call := range ocr.calls {
		order = append(order, strings.Fields(call)[2][:1]+call[:1])
	}
	sorted := slices.Sorted(slices.Values(order))
	if last := order[len(order)-1]; last != "l6" || !slices.Equal(sorted, []string{"c1", "c2", "l1", "l2", "l3", "l4", "l5", "l6"}) || slices.Index(order, "c2") > slices.Index(order, "l5") {
		t.Errorf("read in the order %v", order)
	}
}

// TestRecordingsTakeTurns: a recording lets another one pass, and goes on where it was.
func TestRecordingsTakeTurns(t *testing.T) {
	s := talking()
	s.waits[0] = make(chan struct{})
	w := newSpeechWorld(t, s)
	w.turn = 0
	w.write("a.mp3", "SOUND")
	w.write("b.mp3", "SOUND b")
	w.run()
	<-s.reached
	w.othersWait("speech")
	close(s.waits[0])
	<-s.reached // the other one
	w.eventually(map[string]string{"a.mp3": "ready", "b.mp3": "ready"})
	a, b := s.calls[0][:5], s.calls[1][:5]
	s.called(t, a+" 0", b+" 0", a+" 10", b+" 10", a+" 20", b+" 20")
}

// TestHearingRests: while the machine is to rest a recording is heard no further.
func TestHearingRests(t *testing.T) {
	s := talking()
	w := newWorld(t)
	asked, cool := make(chan struct{}, 10), make(chan struct{})
	hot := false
	w.cfg.Speech, w.cfg.Pace = s, func(ctx context.Context) (float64, error) {
		s.mu.Lock()
		begun := len(s.calls) > 0 && !hot
		hot = hot || begun
		s.mu.Unlock()
		if !begun {
			return 1, nil
		}
		asked <- struct{}{}
		select {
		case <-cool:
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	w.reopen()
	w.Corpus.cfg.Workers = 1 // which asks before the recording, and no more
	w.write("a.mp3", "SOUND")
	w.run()
	<-asked
	w.busyNoMore(s)
	close(cool)
	w.eventually(map[string]string{"a.mp3": "ready"})
	w.finds("noria molino", "a.mp3")
	s.called(t, "a.mp3 0", "a.mp3 10")
}

// busyNoMore waits until nothing is heard.
func (w *world) busyNoMore(s *stenographer) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		busy := s.busy
		s.mu.Unlock()
		if busy == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatal("it is heard on while the machine is to rest")
		}
	}
}
