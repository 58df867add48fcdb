package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// A fakeOCR reads the scans of a [textReader]. What it does with a page the test says.
type fakeOCR struct {
	mu    sync.Mutex
	calls []string // images, in order
	// read, where not nil, says what comes of a page, by its number.
	read func(ctx context.Context, n int) (parse.ScannedPage, error)
}

func (f *fakeOCR) Recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error) {
	f.mu.Lock()
	f.calls = append(f.calls, string(image)+" in "+languages)
	read := f.read
	f.mu.Unlock()
	var n int
	if _, err := fmt.Sscan(string(image), &n); err != nil {
		return parse.ScannedPage{}, err
	}
	if read == nil {
		return scanned(n, 0.9), nil
	}
	return read(ctx, n)
}

func (f *fakeOCR) does(read func(ctx context.Context, n int) (parse.ScannedPage, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = read
}

// pages are the numbers of the pages it was given since the last call.
func (f *fakeOCR) pages() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []int
	for _, c := range f.calls {
		var n int
		_, _ = fmt.Sscan(c, &n)
		all = append(all, n)
	}
	f.calls = nil
	return all
}

func scanned(n int, confidence float64) parse.ScannedPage {
	return parse.ScannedPage{Engine: "fake", Confidence: confidence, Lines: []parse.ScannedLine{
		{Text: fmt.Sprintf("Lo escaneado en la hoja%d", n), Box: [4]float64{0.1, 0.2, 0.5, 0.25}, Confidence: confidence},
	}}
}

func scanWorld(t *testing.T) (*world, *fakeOCR) {
	t.Helper()
	w := newWorld(t)
	ocr := &fakeOCR{}
	w.cfg.OCR = ocr
	w.reopen()
	return w, ocr
}

const mixed = "SCAN Con palabras propias."

// A document's own text is indexed first, then its scans are read, each once, and it is ready with their places.
func TestScansAreRead(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	w.write("texto.txt", "Nada que escanear.")
	var seen []string
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		d := w.doc("mixto.pdf")
		seen = append(seen, fmt.Sprintf("%s %s %d/%d %s, %d chunks", d.Status, d.Stage, d.Progress.Done, d.Progress.Total, d.Progress.Unit, d.Chunks))
		w.finds("propias", "mixto.pdf") //nolint:contextcheck // the test's own
		return scanned(n, 0.9), nil
	})
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready", "texto.txt": "ready"})
	want := []string{"working ocr 0/3 page, 1 chunks", "working ocr 1/3 page, 1 chunks", "working ocr 2/3 page, 1 chunks"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("seen while it is read (-want +got):\n%s", diff)
	}
	wantCalls := []string{"2 of mixto.pdf at 300 in spa+eng", "3 of mixto.pdf at 300 in spa+eng", "5 of mixto.pdf at 300 in spa+eng"}
	if diff := cmp.Diff(wantCalls, ocr.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	w.finds("hoja3", "mixto.pdf")
	w.finds("propias", "mixto.pdf")
	d := w.doc("mixto.pdf")
	chunks, err := w.index.Chunks(t.Context(), d.ID, 0, 10)
	if err != nil || len(chunks) != 4 {
		t.Fatalf("%d chunks, %v", len(chunks), err)
	}
	for i, page := range []int{2, 3, 5} {
		at := chunks[i+1].Location
		if at.Kind != "page" || at.Page != page || len(at.Boxes) != 1 || at.Boxes[0] != [4]float64{0.1, 0.2, 0.5, 0.25} {
			t.Errorf("chunk %d is at %+v", i+1, at)
		}
		if at.Recognition != (retrieval.Recognition{Engine: "fake", Confidence: 0.9}) {
			t.Errorf("chunk %d was read by %+v", i+1, at.Recognition)
		}
	}
	if r := chunks[0].Location.Recognition; r != (retrieval.Recognition{}) {
		t.Errorf("the document's own text was read by %+v", r)
	}
	readings := []Reading{{Engine: "fake", Confidence: 0.9, Pages: []PageReading{{2, 0.9}, {3, 0.9}, {5, 0.9}}}}
	if diff := cmp.Diff(readings, d.ReadBy, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("read by (-want +got):\n%s", diff)
	}
	if len(d.PagesFailed) != 0 || len(d.Warnings) != 0 {
		t.Errorf("pages failed %v, warnings %q", d.PagesFailed, d.Warnings)
	}
	w.verified()
}

// A blank page is read; a document of nothing else has no text.
func TestBlankScans(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("imagen.pdf", "IMAGES")
	w.write("blanco.pdf", "IMAGES in white")
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		if n == 1 && strings.Contains(ocr.calls[len(ocr.calls)-1], "imagen") {
			return scanned(n, 0.4), nil
		}
		return parse.ScannedPage{Engine: "fake"}, nil
	})
	w.sync()
	w.want(map[string]string{"imagen.pdf": "ready", "blanco.pdf": "failed empty"})
	if d := w.doc("imagen.pdf"); !slices.Equal(d.Warnings, []string{"read by fake with a low confidence of 0.40: page 1"}) || d.Pages != 2 {
		t.Errorf("warnings %q of %d pages", d.Warnings, d.Pages)
	}
}

// A page that fails twice by its own fault is put aside and named; a retry reads only that.
func TestPoisonPage(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	w.write("imagen.pdf", "IMAGES")
	w.reader.failScan("imagen.pdf", parse.Errorf(parse.Bomb, "too large"))
	poison := func(_ context.Context, n int) (parse.ScannedPage, error) {
		if n == 3 {
			return parse.ScannedPage{}, parse.Errorf(parse.Timeout, "it loops")
		}
		return scanned(n, 0.9), nil
	}
	ocr.does(poison)
	w.sync()
	w.want(map[string]string{"mixto.pdf": "partial needs_ocr", "imagen.pdf": "failed needs_ocr"})
	if got := ocr.pages(); !slices.Equal(got, []int{2, 3, 5, 3}) {
		t.Errorf("pages %v were read", got)
	}
	d := w.doc("mixto.pdf")
	if !slices.Equal(d.PagesFailed, []int{3}) || d.Error.Detail != "page 3: timeout: it loops" || !strings.HasPrefix(d.Error.In("es"), "El reconocimiento de texto (OCR) ha fallado en estas páginas: 3.") {
		t.Errorf("%+v: %+v", d.PagesFailed, d.Error)
	}
	w.finds("hoja5", "mixto.pdf")
	w.reopen()
	if w.sync(); len(ocr.pages()) > 0 {
		t.Error("a new start reads the pages again")
	}
	ocr.does(nil)
	if _, err := w.Retry(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	w.finds("hoja5", "mixto.pdf") // while it waits
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready", "imagen.pdf": "failed needs_ocr"})
	if got := ocr.pages(); !slices.Equal(got, []int{3}) {
		t.Errorf("a retry read the pages %v", got)
	}
	w.finds("hoja3", "mixto.pdf")
}

// Without its engine a document is what its text makes it; it is tried again later, and at the next start.
func TestEngineMissing(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	w.write("imagen.pdf", "IMAGES")
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		if n == 2 {
			return scanned(n, 0.9), nil
		}
		return parse.ScannedPage{}, errors.New("no engine")
	})
	w.sync()
	w.want(map[string]string{"mixto.pdf": "partial engine_missing", "imagen.pdf": "failed engine_missing"})
	if got := ocr.pages(); !slices.Equal(slices.Sorted(slices.Values(got)), []int{1, 2, 3}) {
		t.Errorf("pages %v were tried", got)
	}
	for _, path := range []string{"mixto.pdf", "imagen.pdf"} {
		if d := w.doc(path); d.Error.RetryAt == nil || time.Until(*d.Error.RetryAt) > 2*time.Minute {
			t.Errorf("%s is tried again at %v", path, d.Error.RetryAt)
		}
	}
	w.finds("hoja2", "mixto.pdf")
	ocr.does(nil)
	w.reopen()
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready", "imagen.pdf": "ready"})
	if got := ocr.pages(); !slices.Equal(slices.Sorted(slices.Values(got)), []int{1, 2, 3, 5}) {
		t.Errorf("pages %v were read at the next start", got)
	}
}

// What draws the pages may be what does not work: no page is blamed for that.
func TestReaderMissing(t *testing.T) {
	for _, err := range []error{errors.New("exit status 1"), parse.Errorf(parse.EngineMissing, "it does not start"), parse.Errorf(parse.NotReadable, "locked")} {
		w, ocr := scanWorld(t)
		w.write("imagen.pdf", "IMAGES")
		w.reader.failScan("imagen.pdf", err)
		w.sync()
		w.want(map[string]string{"imagen.pdf": "failed not_readable"})
		if d := w.doc("imagen.pdf"); d.Error.RetryAt == nil || len(ocr.pages()) > 0 {
			t.Errorf("%v: %+v", err, d.Error)
		}
		w.reader.failScan("imagen.pdf", nil)
		w.retry("imagen.pdf")
		w.want(map[string]string{"imagen.pdf": "ready"})
	}
}

// A document that waits for an engine is taken up by itself when its time has come.
func TestEngineReturns(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	ocr.does(func(context.Context, int) (parse.ScannedPage, error) {
		return parse.ScannedPage{}, errors.New("no engine")
	})
	w.sync()
	ocr.does(nil)
	w.change.Lock()
	ch, due := w.ledger.begin(), now()
	r := ch.row(w.doc("mixto.pdf").ID)
	p := *r.Error
	r.Error, p.RetryAt = &p, &due
	ch.put(r)
	err := ch.commit()
	w.change.Unlock()
	if err != nil || r.Retries != 1 {
		t.Fatalf("after %d retries: %v", r.Retries, err)
	}
	w.run()
	w.eventually(map[string]string{"mixto.pdf": "ready"})
}

// Without OCR it is as ever; when there is one, at the next start, the documents that wait for it are read.
func TestOCRArrives(t *testing.T) {
	w := newWorld(t)
	w.write("mixto.pdf", mixed)
	w.write("texto.txt", "Nada que escanear.")
	w.sync()
	w.want(map[string]string{"mixto.pdf": "partial needs_ocr", "texto.txt": "ready"})
	ocr := &fakeOCR{}
	w.cfg.OCR = ocr
	w.reopen()
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready", "texto.txt": "ready"})
	if n := w.reader.count("texto.txt"); n != 1 {
		t.Errorf("the text was read %d times", n)
	}
}

// What is interrupted goes on where it was, and repeats at most one page.
func TestScansGoOn(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	ctx, cancel := context.WithCancel(t.Context())
	ocr.does(func(ctx context.Context, n int) (parse.ScannedPage, error) {
		if n == 5 {
			cancel()
			<-ctx.Done()
			return parse.ScannedPage{}, ctx.Err()
		}
		return scanned(n, 0.9), nil
	})
	if _, err := w.Sync(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.want(map[string]string{"mixto.pdf": "queued"})
	ocr.pages()
	ocr.does(nil)
	w.reopen()
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready"})
	if got := ocr.pages(); !slices.Equal(got, []int{5}) {
		t.Errorf("it read the pages %v", got)
	}
	id := w.doc("mixto.pdf").ID
	kept, _ := filepath.Glob(filepath.Join(w.data, "cache", "ocr", id, "*.json"))
	if len(kept) != 3 {
		t.Errorf("kept are %q", kept)
	}
	if _, err := w.Page(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	w.unlink("mixto.pdf")
	w.sync()
	time.Sleep(2 * quiet)
	w.sync()
	w.reopen()
	for _, cache := range []string{"ocr", "pages"} {
		if _, err := os.Stat(filepath.Join(w.data, "cache", cache, id)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s keeps of a document that is gone: %v", cache, err)
		}
	}
}

// What other settings read well stays, what they read badly is read anew; what failed is tried again.
func TestKeptForSettings(t *testing.T) {
	cache := scanCache{dir: t.TempDir(), key: "a"}
	page := scanned(1, 0.9)
	if err := cache.write("d", 1, keptPage{Page: &page}); err != nil {
		t.Fatal(err)
	}
	if got := cache.read("d", 1); got.Page == nil || got.Page.Lines[0].Text != page.Lines[0].Text {
		t.Errorf("kept is %+v", got)
	}
	if err := os.WriteFile(cache.file("d", 2), []byte(`{"key":"a","pa`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := cache.read("d", 2); got.Page != nil {
		t.Errorf("of a torn file: %+v", got)
	}
	failed := keptPage{Failed: scanTries, Why: parse.Errorf(parse.Timeout, "it loops")}
	if err := cache.write("d", 3, failed); err != nil {
		t.Fatal(err)
	}
	dim := scanned(4, 0.4)
	if err := cache.write("d", 4, keptPage{Page: &dim}); err != nil {
		t.Fatal(err)
	}
	if !cache.read("d", 4).settled() || cache.read("d", 3).Failed != scanTries {
		t.Error("the same settings read it again")
	}
	cache.key = "b"
	if got := cache.read("d", 1); !got.settled() {
		t.Errorf("what was read well: %+v", got)
	}
	if got := cache.read("d", 4); got.settled() || got.Page == nil {
		t.Errorf("what was read badly: %+v", got)
	}
	if got := cache.read("d", 3); got.Failed != 0 || got.Why != nil {
		t.Errorf("what failed: %+v", got)
	}
	if err := cache.again("d", cache.pages("d")); err != nil {
		t.Fatal(err)
	}
	if got := cache.read("d", 1); got.settled() || got.Page == nil {
		t.Errorf("what is wanted anew: %+v", got)
	}
}

// A document that is renamed while it is read loses no page; one that is removed is read no further.
func TestScansOfAMovingFile(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	w.write("imagen.pdf", "IMAGES")
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		switch n {
		case 3:
			w.rename("mixto.pdf", "otro/mixto.pdf")
		case 1:
			if err := w.Remove(t.Context(), w.doc("imagen.pdf").ID); err != nil { //nolint:contextcheck // a user's, not the engine's
				t.Error(err)
			}
		}
		return scanned(n, 0.9), nil
	})
	w.run()
	w.eventually(map[string]string{"otro/mixto.pdf": "ready"})
	if got := ocr.pages(); !slices.Equal(slices.Sorted(slices.Values(got)), []int{1, 2, 3, 5}) {
		t.Errorf("it read the pages %v", got)
	}
	w.finds("hoja3", "otro/mixto.pdf")
	w.finds("hoja1")
}

// While scans are read, texts pass them, and of scans one document has the engine at a time.
func TestTextsPassScans(t *testing.T) {
	w, ocr := scanWorld(t)
	hold := make(chan struct{})
	busy, most := 0, 0
	var mu sync.Mutex
	ocr.does(func(ctx context.Context, n int) (parse.ScannedPage, error) {
		mu.Lock()
		busy++
		most = max(most, busy)
		mu.Unlock()
		select {
		case <-hold:
		case <-ctx.Done():
		}
		mu.Lock()
		busy--
		mu.Unlock()
		return scanned(n, 0.9), ctx.Err()
	})
	want := map[string]string{}
	for i := range 20 {
		path := fmt.Sprintf("%02d.pdf", i)
		w.write(path, fmt.Sprintf("IMAGES %d", i))
		want[path] = "ready"
	}
	w.run()
	for end := time.Now().Add(10 * time.Second); len(w.state()) < 20 && time.Now().Before(end); {
		time.Sleep(quiet)
	}
	w.write("texto.txt", "El texto no espera.")
	for end := time.Now().Add(10 * time.Second); w.state()["texto.txt"] != "ready"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the text waits for scans: %v", w.state())
		}
	}
	close(hold)
	want["texto.txt"] = "ready"
	w.eventually(want)
	if most != 1 {
		t.Errorf("%d documents had the engine at a time", most)
	}
}

// A page that waits for its turn is told of, and said to go on.
func TestWaitIsTold(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	var told []string
	changes := w.Subscribe(t.Context())
	hear := func(until string) {
		for e := range changes {
			if p := e.Document.Progress; p != nil && e.Document.Stage == "ocr" {
				told = append(told, string(p.Waits))
			}
			if len(told) > 0 && told[len(told)-1] == until {
				return
			}
		}
	}
	ocr.does(func(ctx context.Context, n int) (parse.ScannedPage, error) {
		err := error(nil)
		if n == 3 {
			err = parse.Waiting(ctx, parse.ForTurn, func() error { hear("turn"); return nil })
			hear("")
		}
		return scanned(n, 0.9), err
	})
	w.sync()
	if len(told) < 2 || told[len(told)-1] != "" || told[len(told)-2] != "turn" {
		t.Errorf("told %q", told)
	}
	w.want(map[string]string{"mixto.pdf": "ready"})
}

// What is found of a document while it is read can be looked at: its pages can be drawn, its sound be played.
func TestFoundCanBeShown(t *testing.T) {
	w, ocr := scanWorld(t)
	w.cfg.Speech = talking()
	w.reopen()
	w.write("mixto.pdf", mixed)
	w.write("a.mp3", "SOUND")
	s := w.cfg.Speech.(*stenographer)
	s.waits[20] = make(chan struct{})
	hold := make(chan struct{})
	reached := make(chan struct{}, 3)
	ocr.does(func(ctx context.Context, n int) (parse.ScannedPage, error) {
		reached <- struct{}{}
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return scanned(n, 0.9), ctx.Err()
	})
	w.run()
	<-reached
	<-s.reached
	w.finds("propias", "mixto.pdf")
	if d := w.doc("mixto.pdf"); d.Status != Working || d.MIME != "text/plain" || d.Pages != 7 {
		t.Errorf("%+v", d)
	}
	if _, err := w.Page(t.Context(), w.doc("mixto.pdf").ID, 1); err != nil {
		t.Errorf("page 1: %v", err)
	}
	w.finds("noria", "a.mp3")
	if d := w.doc("a.mp3"); d.Status != Working || d.MIME != "audio/mpeg" || d.DurationS != 30 {
		t.Errorf("%+v", d)
	}
	close(hold)
	close(s.waits[20])
	w.eventually(map[string]string{"mixto.pdf": "ready", "a.mp3": "ready"})
}
