package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// The OCR engines that a [Config] can name.
const (
	engineAuto      = "auto"
	engineSurya     = "surya"
	engineSurya1    = "surya1"
	engineTesseract = "tesseract"
	engineRapid     = "rapidocr"
)

// An engine reads one image.
type engine interface {
	recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error)
}

// OCR reads the images of pages with the engine of its [Config], or, when that is
// auto, with the first that can run, and with the next where that one is unsure.
type OCR struct {
	engines []engine
	workers []*worker // of the engines that have one
	log     *slog.Logger
}

// NewOCR returns an OCR. Nothing runs before its first page. With auto, Surya reads where a plan lends it memory of a
// graphics card: on the CPU the others are many times faster. Who names it gets it there, too.
func NewOCR(cfg Config) (*OCR, error) {
	o := &OCR{log: cfg.log()}
	onCPU := newLease(cfg.Planner, hwplan.OCR, hwplan.OnCPU)
	switch cfg.Engine {
	case engineSurya:
		o.addSurya(cfg, newLease(cfg.Planner, hwplan.OCR, ""))
	case engineSurya1:
		o.addWorker(newSurya1(cfg, newLease(cfg.Planner, hwplan.OCR, "")))
	case engineRapid:
		o.addWorker(newRapid(cfg, onCPU))
	case engineTesseract:
		o.engines = []engine{newTesseract(cfg, onCPU)}
	case engineAuto, "":
		if cfg.SuryaModel != "" {
			o.addSurya(cfg, newLease(cfg.Planner, hwplan.OCR, hwplan.OnGPU))
		}
		if cfg.Python != "" || cfg.Environments != "" {
			o.addWorker(newRapid(cfg, onCPU))
		}
		o.engines = append(o.engines, newTesseract(cfg, onCPU))
	default:
		return nil, fmt.Errorf("OCR engine %q: it is none of %s, %s, %s, %s and %s",
			cfg.Engine, engineAuto, engineSurya, engineSurya1, engineRapid, engineTesseract)
	}
	return o, nil
}

func (o *OCR) addSurya(cfg Config, memory *lease) {
	s := newSurya(cfg, memory, suryaLimits)
	o.engines, o.workers = append(o.engines, s), append(o.workers, s.worker)
}

func (o *OCR) addWorker(r *rapid) {
	o.engines, o.workers = append(o.engines, r), append(o.workers, r.worker)
}

// Recognize reads an image, PNG or JPEG, of a page at about 300 dpi, whatever way it
// is turned. Languages are Tesseract's ("spa+eng") or two letters each; "" is the
// [Config]'s. It may be called at once: but for Tesseract, an engine takes one page after the other.
//
// The error is a [*parse.Error] where the page is at fault. It wraps [ErrMissing]
// where no engine is there, and [ErrUnavailable] where one does not start or died too often.
func (o *OCR) Recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error) {
	if err := checkPicture(image); err != nil {
		return parse.ScannedPage{}, err
	}
	image, back, err := straightened(image)
	if err != nil {
		return parse.ScannedPage{}, err
	}
	var best parse.ScannedPage
	var failures []error
	before := 0 // of them, those of engines that come before the one that read it
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
			best, before = page, len(failures)
		}
		if best.Confidence >= sure {
			break
		}
	}
	if best.Engine == "" {
		return best, worst(failures)
	}
	best.Stopgap = slices.ContainsFunc(failures[:before], func(err error) bool { return errors.Is(err, ErrUnavailable) })
	if len(failures) > 0 {
		o.log.Debug("a page was read by another engine", "engine", best.Engine, "err", errors.Join(failures...))
	}
	return back(best), nil
}

// Close ends the workers.
func (o *OCR) Close() {
	for _, w := range o.workers {
		w.close()
	}
}

// worst is the failure that says most: first what an engine says of the page, then
// why one cannot run now; that one is missing, or has no memory, matters only where no other tried.
func worst(failures []error) error {
	var fault *parse.Error
	for _, err := range failures {
		if errors.As(err, &fault) {
			return err
		}
	}
	for _, err := range failures {
		if !errors.Is(err, ErrMissing) && !errors.Is(err, errNotLent) {
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
	case errors.As(err, &refused) && refused.Code == codeNoVRAM: // another program has it now
		return fmt.Errorf("%w: %s", ErrUnavailable, refused.Message)
	case errors.As(err, &refused) && refused.Code == codeTooLarge:
		return parse.Errorf(parse.TooLarge, "%s", refused.Message)
	case errors.As(err, &refused):
		return parse.Errorf(parse.Crashed, "the engine refuses it: %s", refused.Message)
	case errors.As(err, &died):
		return parse.Errorf(parse.Crashed, "%s", died)
	}
	return err
}
