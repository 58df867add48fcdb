package sidecar

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

const (
	missingPhoto = "pi-heif: `acervo setup ocr` installs it"
	// photoLimit is for one photo: one of 48 megapixels takes 3 seconds on an idle machine.
	photoLimit = 2 * time.Minute
	// maxPhoto is how many pixels a photo may have. Its decoder takes 8 bytes a pixel.
	maxPhoto = 64 << 20
)

// Photos decodes HEIC photos, which is what an iPhone takes, in a Python worker. It needs no engine of OCR, but is
// installed with RapidOCR.
type Photos struct{ worker *worker }

// NewPhotos returns a Photos. Nothing runs before its first photo.
func NewPhotos(cfg Config) *Photos {
	return newPhotos(cfg, cfg.photos())
}

func newPhotos(cfg Config, command func() ([]string, error)) *Photos {
	return &Photos{newWorker(workerConfig{
		name: "photo", command: command, scratch: cfg.Scratch, limits: photoLimits, log: cfg.log(),
		lease: newLease(nil, hwplan.OCR, hwplan.OnCPU), // it takes as little as a reader of documents, which nobody plans for
		load:  func(hwplan.Placement, hello) any { return nil },
	})}
}

// photos is the command of the worker.
func (c Config) photos() func() ([]string, error) {
	return c.script("photo.py", missingPhoto, ProfileOCR)
}

// Decode returns a photo as an upright JPEG. Its errors are of the kinds of [OCR.Recognize]. A photo over which the
// worker fails is given to a second one, not to a third.
func (p *Photos) Decode(ctx context.Context, photo []byte) ([]byte, error) {
	picture, err := p.decode(ctx, photo)
	if anotherMay(err) {
		picture, err = p.decode(ctx, photo)
	}
	return picture, outcome(err)
}

func (p *Photos) decode(ctx context.Context, photo []byte) ([]byte, error) {
	var picture []byte
	_, _, err := p.worker.do(ctx, job{
		call: call{method: "decode", limit: photoLimit},
		prepare: func(dir string) (any, error) {
			path := filepath.Join(dir, "photo")
			params := map[string]any{"path": path, "to": filepath.Join(dir, "picture"), "pixels": maxPhoto}
			return params, os.WriteFile(path, photo, 0o600)
		},
		collect: func(dir string) {
			picture, _ = os.ReadFile(filepath.Join(dir, "picture")) // one that is not there is no picture either
		},
	})
	if err == nil && !bytes.HasPrefix(picture, []byte("\xFF\xD8\xFF")) {
		return nil, parse.Errorf(parse.Crashed, "what its decoder made of it is no picture")
	}
	return picture, err
}

// Close ends the worker.
func (p *Photos) Close() { p.worker.close() }
