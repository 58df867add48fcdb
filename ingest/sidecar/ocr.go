package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// The OCR engines that a [Config] can name.
const (
	engineAuto      = "auto"
	engineTesseract = "tesseract"
	engineRapid     = "rapidocr"
)

// An engine reads one image.
type engine interface {
	recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error)
}

// OCR reads the images of pages with the engine of its [Config], or, when that is
// auto, with the first that is there, and with the next where that one is unsure.
type OCR struct {
	engines []engine
	worker  *worker // of RapidOCR; may be nil
	log     *slog.Logger
}

// NewOCR returns an OCR. Nothing runs before its first page.
func NewOCR(cfg Config) (*OCR, error) {
	shared := newLease(cfg.Planner, hwplan.OCR)
	o := &OCR{log: cfg.log()}
	words := newTesseract(cfg, shared)
	switch cfg.Engine {
	case engineTesseract:
		o.engines = []engine{words}
	case engineRapid, engineAuto, "":
		if cfg.Engine == engineRapid || cfg.Python != "" || cfg.Environments != "" {
			r := newRapid(cfg, shared)
			o.engines, o.worker = append(o.engines, r), r.worker
		}
		if cfg.Engine != engineRapid {
			o.engines = append(o.engines, words)
		}
	default:
		return nil, fmt.Errorf("OCR engine %q: it is none of %s, %s and %s", cfg.Engine, engineAuto, engineTesseract, engineRapid)
	}
	return o, nil
}

// Recognize reads an image, PNG or JPEG, of a page at about 300 dpi, whatever way it
// is turned. Languages are Tesseract's ("spa+eng") or two letters each; "" is the
// [Config]'s. It may be called at once: RapidOCR takes one page after the other.
//
// The error is a [*parse.Error] where the page is at fault. It wraps [ErrMissing]
// where no engine is there, and [ErrUnavailable] where one does not start or died too often.
func (o *OCR) Recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error) {
	if err := checkPicture(image); err != nil {
		return parse.ScannedPage{}, err
	}
	image, back, err := level(image)
	if err != nil {
		return parse.ScannedPage{}, err
	}
	var best parse.ScannedPage
	var failures []error
	for _, e := range o.engines {
		page, err := e.recognize(ctx, image, languages)
		if ctx.Err() != nil {
			return parse.ScannedPage{}, ctx.Err()
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if best.Engine == "" || page.Confidence > best.Confidence {
			best = page
		}
		if best.Confidence >= sure {
			break
		}
	}
	if best.Engine == "" {
		return best, worst(failures)
	}
	if len(failures) > 0 {
		o.log.Debug("a page was read by another engine", "engine", best.Engine, "err", errors.Join(failures...))
	}
	return back(best), nil
}

// Close ends the worker, if there is one.
func (o *OCR) Close() {
	if o.worker != nil {
		o.worker.close()
	}
}

// worst is the failure that says most: first what an engine says of the page, then
// why one cannot run now; that one is missing matters only where no other tried.
func worst(failures []error) error {
	var fault *parse.Error
	for _, err := range failures {
		if errors.As(err, &fault) {
			return err
		}
	}
	for _, err := range failures {
		if !errors.Is(err, ErrMissing) {
			return err
		}
	}
	return errors.Join(failures...)
}

// outcome is the error of a worker's call as the callers of this package know it.
func outcome(err error) error {
	var refused *refusal
	var died *diedError
	switch {
	case errors.As(err, &refused) && refused.Code == codeBadInput:
		return parse.Errorf(parse.Corrupt, "%s", refused.Message)
	case errors.As(err, &refused) && refused.Code == codeNoSound:
		return parse.Errorf(parse.Empty, "%s", refused.Message)
	case errors.As(err, &refused):
		return parse.Errorf(parse.Crashed, "the engine refuses it: %s", refused.Message)
	case errors.As(err, &died):
		return parse.Errorf(parse.Crashed, "%s", died)
	}
	return err
}
