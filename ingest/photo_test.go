package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// photo is what a file must begin with to need a decoder.
const photo = "\x00\x00\x00\x18ftypheic"

// A fakeDecoder makes pages of photos that a [textReader] understands.
type fakeDecoder struct {
	mu    sync.Mutex
	calls int
	err   error
}

func (f *fakeDecoder) Decode(_ context.Context, photo []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	return fmt.Appendf(nil, "PAGES 1 of %d bytes", len(photo)), f.err
}

func (f *fakeDecoder) does(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func photoWorld(t *testing.T) (*world, *fakeDecoder) {
	t.Helper()
	w, _ := scanWorld(t)
	decoder := &fakeDecoder{}
	w.cfg.Photos = decoder
	w.reopen()
	return w, decoder
}

// A photo is decoded once; its pages are read and shown from what it was decoded to, and its file stays what it is.
func TestPhotos(t *testing.T) {
	w, decoder := photoWorld(t)
	w.write("fotos/aviso.heic", photo+" de un aviso")
	w.write("nota.txt", "Nada que decodificar.")
	w.sync()
	w.want(map[string]string{"fotos/aviso.heic": "ready", "nota.txt": "ready"})
	w.finds("hoja1", "fotos/aviso.heic")
	d := w.doc("fotos/aviso.heic")
	if d.MIME != "image/heic" || d.Pages != 1 {
		t.Errorf("%+v", d)
	}
	if page, err := w.Page(t.Context(), d.ID, 1); err != nil || string(page) != "png 1.jpg 1" {
		t.Errorf("page %q, %v", page, err)
	}
	f, _, err := w.Open(d.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if raw, err := io.ReadAll(f); string(raw) != photo+" de un aviso" {
		t.Errorf("the file is %q, %v", raw, err)
	}
	if decoder.calls != 1 {
		t.Errorf("it was decoded %d times", decoder.calls)
	}
	// What is kept of it goes with it.
	kept := filepath.Join(w.data, "cache", "photos", d.ID)
	if _, err := os.Stat(filepath.Join(kept, "1.jpg")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(w.docs, "fotos", "aviso.heic")); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.reopen()
	if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its picture is still there: %v", err)
	}
}

// A photo waits for its decoder as a scan does for its engine, and its reason says what mends it.
func TestPhotosWait(t *testing.T) {
	w, decoder := photoWorld(t)
	decoder.does(errors.New("it is not installed"))
	w.write("aviso.heic", photo+" de un aviso")
	w.sync()
	w.want(map[string]string{"aviso.heic": "failed engine_missing"})
	p := w.doc("aviso.heic").Error
	for _, lang := range []string{"en", "es"} {
		if !strings.Contains(p.In(lang), "`acervo setup ocr`") {
			t.Errorf("%s: %s", lang, p.In(lang))
		}
	}
	if p.RetryAt == nil || !strings.Contains(p.Detail, "HEIC") {
		t.Errorf("%+v", p)
	}
	decoder.does(nil)
	w.due()
	w.sync()
	w.want(map[string]string{"aviso.heic": "ready"})
}

// What the decoder says of a photo is its reason.
func TestPhotosBroken(t *testing.T) {
	w, decoder := photoWorld(t)
	decoder.does(parse.Errorf(parse.Corrupt, "half of it is missing"))
	w.write("aviso.heic", photo+" de un aviso")
	w.sync()
	w.want(map[string]string{"aviso.heic": "failed corrupt"})
	if p := w.doc("aviso.heic").Error; p.RetryAt != nil || p.Detail != "half of it is missing" {
		t.Errorf("%+v", p)
	}
}
