package ingest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// due has the time come for every document that is to be tried again, and returns how many are.
func (w *world) due() (queued int) {
	w.t.Helper()
	w.change.Lock()
	ch, at := w.ledger.begin(), now()
	for _, r := range w.ledger.rows() {
		if r.lacking() && r.Error.RetryAt != nil {
			again, p := *r, *r.Error
			again.Error, p.RetryAt = &p, &at
			ch.put(&again)
		}
	}
	err := ch.commit()
	w.change.Unlock()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.requeueDue(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range w.ledger.rows() {
		if r.Status == Queued {
			queued++
		}
	}
	return queued
}

// TestOutage: of many documents that wait for an engine one is tried now and then; when it runs again, all of them are.
func TestOutage(t *testing.T) {
	w, ocr := scanWorld(t)
	s := talking()
	w.cfg.Speech = s
	w.reopen()
	s.fail = map[float64]error{0: errors.New("no engine")}
	ocr.does(func(context.Context, int) (parse.ScannedPage, error) {
		return parse.ScannedPage{}, errors.New("no engine")
	})
	for i := range 5 {
		w.write(fmt.Sprintf("%d.pdf", i), fmt.Sprintf("IMAGES %d", i))
		w.write(fmt.Sprintf("%d.mp3", i), fmt.Sprintf("SOUND %d", i))
	}
	w.sync()
	for range 2 {
		if got := w.due(); got != 2 {
			t.Errorf("%d are tried again, not one an engine", got)
		}
	}
	ocr.does(nil)
	w.run()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		read, _, err := w.List(Filter{Status: string(Ready)})
		if err != nil || len(read) == 5 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("only %d are read when it runs again: %v", len(read), w.state())
		}
	}
}

// TestEngineIsBack: when one document succeeds, the others do not wait for their own times.
func TestEngineIsBack(t *testing.T) {
	w, ocr := scanWorld(t)
	ocr.does(func(context.Context, int) (parse.ScannedPage, error) {
		return parse.ScannedPage{}, errors.New("no engine")
	})
	for i := range 3 {
		w.write(fmt.Sprintf("%d.pdf", i), fmt.Sprintf("IMAGES %d", i))
	}
	w.sync()
	ocr.does(nil)
	w.retry("1.pdf")
	w.want(map[string]string{"0.pdf": "ready", "1.pdf": "ready", "2.pdf": "ready"})
}

// TestDrawingBlamesNoPage: that a page cannot be drawn now does not make forgotten how often the program ended over it.
func TestDrawingBlamesNoPage(t *testing.T) {
	w, _ := scanWorld(t)
	w.write("imagen.pdf", "IMAGES")
	w.reader.failScan("imagen.pdf", errors.New("exit status 1"))
	w.sync()
	id := w.doc("imagen.pdf").ID
	if err := w.scans.write(id, 1, keptPage{Begun: 2}); err != nil {
		t.Fatal(err)
	}
	w.retry("imagen.pdf")
	if got := w.scans.read(id, 1).Begun; got != 2 {
		t.Errorf("it was begun %d times, not 2", got)
	}
}
