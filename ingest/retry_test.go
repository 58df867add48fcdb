package ingest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// better is page n, read so that it can be told from what [scanned] returns.
func better(n int, confidence float64) parse.ScannedPage {
	page := scanned(n, confidence)
	page.Lines[0].Text += " con claridad"
	return page
}

// dimly reads page 3 badly.
func dimly(_ context.Context, n int) (parse.ScannedPage, error) {
	if n == 3 {
		return scanned(n, 0.4), nil
	}
	return scanned(n, 0.9), nil
}

// Other settings read only what was read badly. Until it is read better the document answers with what it has.
func TestOtherSettings(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	ocr.does(dimly)
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready"})
	ocr.pages()
	w.reopen()
	if w.sync(); len(ocr.pages()) > 0 {
		t.Error("the same settings read it again")
	}

	w.cfg.OCRLanguages = "deu"
	ocr.does(func(context.Context, int) (parse.ScannedPage, error) {
		return parse.ScannedPage{}, errors.New("no engine")
	})
	w.reopen()
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready"})
	w.finds("hoja3", "mixto.pdf")
	if got := ocr.pages(); !slices.Equal(got, []int{3}) {
		t.Errorf("other settings read the pages %v", got)
	}

	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		w.finds("hoja3", "mixto.pdf") //nolint:contextcheck // the test's own
		return better(n, 0.9), nil
	})
	w.reopen() // the engine is back
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready"})
	w.finds("claridad", "mixto.pdf")
	w.finds("hoja5", "mixto.pdf")
	if d := w.doc("mixto.pdf"); len(d.Warnings) > 0 {
		t.Errorf("warnings %q", d.Warnings)
	}
	ocr.pages()
	w.cfg.OCRLanguages = "spa"
	w.reopen()
	if w.sync(); len(ocr.pages()) > 0 {
		t.Error("what was read well is read again")
	}
	w.verified()
}

// A retry reads what was read badly, and keeps the better of the two readings.
func TestRetryOfDoubts(t *testing.T) {
	for name, test := range map[string]struct {
		again parse.ScannedPage
		err   error
		finds string
	}{
		"better":       {better(3, 0.5), nil, "claridad"},
		"worse":        {scanned(3, 0.3), nil, "hoja3"},
		"sure of less": {parse.ScannedPage{Engine: "other"}, nil, "hoja5"},
		"it fails":     {parse.ScannedPage{}, parse.Errorf(parse.Timeout, "it loops"), "hoja3"},
	} {
		t.Run(name, func(t *testing.T) {
			w, ocr := scanWorld(t)
			w.write("mixto.pdf", mixed)
			ocr.does(dimly)
			w.sync()
			ocr.pages()
			ocr.does(func(context.Context, int) (parse.ScannedPage, error) { return test.again, test.err })
			w.retry("mixto.pdf")
			w.want(map[string]string{"mixto.pdf": "ready"})
			if got := ocr.pages(); got[0] != 3 || slices.ContainsFunc(got, func(n int) bool { return n != 3 }) {
				t.Errorf("it read the pages %v", got)
			}
			w.finds(test.finds, "mixto.pdf")
			w.verified()
		})
	}
}

func TestReread(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	w.write("texto.txt", "Nada que escanear.")
	w.sync()
	ocr.pages()
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		w.finds("hoja5", "mixto.pdf") //nolint:contextcheck // the test's own
		return better(n, 0.8), nil
	})
	for _, name := range []string{"mixto.pdf", "texto.txt"} {
		if d, err := w.Reread(t.Context(), w.doc(name).ID); err != nil || d.Status != Queued {
			t.Errorf("%s is %s, %v", name, d.Status, err)
		}
	}
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready", "texto.txt": "ready"})
	if got := ocr.pages(); !slices.Equal(got, []int{2, 3, 5}) {
		t.Errorf("it read the pages %v", got)
	}
	w.finds("claridad", "mixto.pdf")
	if _, err := w.Reread(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no document: %v", err)
	}
	w.verified()
}

// A recording that is heard anew answers with what was heard before until that part of it is heard.
func TestRehear(t *testing.T) {
	s := talking()
	w := newSpeechWorld(t, s)
	w.write("a.mp3", "SOUND")
	w.sync()
	s.said = []parse.Segment{{StartS: 1, EndS: 4, Text: "La sesión empieza."}, {StartS: 12, EndS: 15, Text: "Se habló del funicular."}, {StartS: 25.5, EndS: 28.25, Text: "Y de la aceña."}}
	s.waits[10] = make(chan struct{})
	if _, err := w.Reread(t.Context(), w.doc("a.mp3").ID); err != nil {
		t.Fatal(err)
	}
	w.run()
	<-s.reached
	w.finds("sesión tranvía molino", "a.mp3")
	close(s.waits[10])
	w.eventually(map[string]string{"a.mp3": "ready"})
	w.finds("sesión funicular aceña", "a.mp3")
	s.called(t, "a.mp3 0", "a.mp3 0")
}

// An edited scan answers with its old pages until all the new ones are read, and from then on with none of the old.
func TestEditedScan(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	w.sync()
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		w.finds("propias", "mixto.pdf") //nolint:contextcheck // the test's own
		return better(n+1, 0.9), nil
	})
	w.write("mixto.pdf", "SCAN Con palabras nuevas.")
	w.sync()
	w.want(map[string]string{"mixto.pdf": "ready"})
	w.finds("claridad", "mixto.pdf")
	w.finds("nuevas", "mixto.pdf")
	w.finds("propias")
	w.finds("hoja2")
	if got := w.index.Sources(); len(got) != 1 {
		t.Errorf("%d versions are in the index", len(got))
	}
	w.verified()
}

// A page that a lesser engine read, as the better one did not run, is read anew when the user asks, however sure that one was.
func TestStopgapIsReadAnew(t *testing.T) {
	w, ocr := scanWorld(t)
	w.write("mixto.pdf", mixed)
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) {
		page := scanned(n, 0.9)
		page.Stopgap = n == 3
		return page, nil
	})
	w.sync()
	if d := w.doc("mixto.pdf"); d.Status != Ready || len(d.Warnings) > 0 {
		t.Errorf("%s, %q", d.Status, d.Warnings)
	}
	ocr.pages()
	ocr.does(func(_ context.Context, n int) (parse.ScannedPage, error) { return better(n, 0.8), nil })
	w.retry("mixto.pdf")
	if got := ocr.pages(); !slices.Equal(got, []int{3}) {
		t.Errorf("a retry read the pages %v", got)
	}
	w.finds("claridad", "mixto.pdf")
	w.retry("mixto.pdf")
	if got := ocr.pages(); len(got) > 0 {
		t.Errorf("another retry read the pages %v", got)
	}
}

// What was read and heard stays findable when the engines are not wanted any more, also where chunks are made anew.
func TestKeptWithoutEngines(t *testing.T) {
	w, _ := scanWorld(t)
	w.cfg.Speech = talking()
	w.reopen()
	w.write("mixto.pdf", mixed)
	w.write("a.mp3", "SOUND")
	w.sync()
	w.cfg.OCR, w.cfg.Speech = nil, nil
	w.reopen()
	for _, again := range []func() error{
		func() error { w.revision = "another"; return w.resume(t.Context()) },
		func() error {
			_, err := w.Reread(t.Context(), w.doc("mixto.pdf").ID)
			_, err2 := w.Reread(t.Context(), w.doc("a.mp3").ID)
			return errors.Join(err, err2)
		},
	} {
		if err := again(); err != nil {
			t.Fatal(err)
		}
		w.want(map[string]string{"mixto.pdf": "queued", "a.mp3": "queued"})
		w.sync()
		w.want(map[string]string{"mixto.pdf": "ready", "a.mp3": "ready"})
		w.finds("hoja3", "mixto.pdf")
		w.finds("molino", "a.mp3")
		w.verified()
	}
}

// Of a recording that was heard in part the part stays.
func TestHeardInPartWithoutEngine(t *testing.T) {
	s := talking()
	s.fail = map[float64]error{20: errors.New("exit status 1")}
	w := newSpeechWorld(t, s)
	w.write("a.mp3", "SOUND")
	w.sync()
	w.cfg.Speech = nil
	w.reopen()
	w.retry("a.mp3")
	w.want(map[string]string{"a.mp3": "partial engine_missing"})
	w.finds("tranvía", "a.mp3")
	s.fail, w.cfg.Speech = nil, s
	w.reopen()
	w.sync()
	w.want(map[string]string{"a.mp3": "ready"})
	s.called(t, "a.mp3 0", "a.mp3 20")
}

// A clock that ran ahead when a retry was set, and is right again, does not put that off for days.
func TestDueAfterTheClockWasSetBack(t *testing.T) {
	for wait, want := range map[time.Duration]bool{-time.Second: true, 0: true, time.Minute: false, 59 * time.Minute: false, 48 * time.Hour: true} {
		at := now().Add(wait)
		r := row{Document: Document{Status: Failed, Error: &Problem{Code: parse.NotReadable, RetryAt: &at}}}
		if got := r.due(at.Add(-wait)); got != want {
			t.Errorf("in %s it is due: %v", wait, got)
		}
	}
}

// A reader that lacks something now is asked again by itself, and nobody is told that it is not installed.
func TestReaderLacks(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "FAIL engine_missing")
	w.sync()
	d := w.doc("a.txt")
	if d.Error == nil || d.Error.RetryAt == nil || !strings.Contains(d.Error.In("en"), "cannot run now") || !strings.Contains(d.Error.In("es"), "no puede funcionar") {
		t.Errorf("%+v", d.Error)
	}
}
