package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/sidecar"
)

// perception says how the engines that read pictures and hear recordings are run.
func (c *Config) perception(planner func(context.Context) (*hwplan.Planner, error), log *slog.Logger) sidecar.Config {
	return sidecar.Config{
		Python: c.Workers.Python, Environments: c.environments(), Engine: c.OCR.Engine, Languages: c.OCR.Languages,
		Cache: filepath.Join(c.Data, "cache"), Scratch: c.scratch(), Model: c.speechModel, NPUModel: c.npuModel,
		Planner: planner, Log: log,
		SuryaModel: c.suryaModel(), LlamaServer: c.OCR.LlamaServer,
	}
}

// environments and models are where `acervo setup` puts what the engines need.
func (c *Config) environments() string { return filepath.Join(c.Data, "envs") }
func (c *Config) models() string       { return filepath.Join(c.Data, "models") }

// suryaModel is the directory of the files of Surya 2, or 1, which a user may fill by hand. It need not be there.
func (c *Config) suryaModel() string {
	if c.OCR.Model == "auto" {
		return filepath.Join(c.models(), map[bool]string{true: "surya-1", false: "surya-2"}[c.OCR.Engine == "surya1"])
	}
	return c.OCR.Model
}

// speechModel is the directory of the Whisper model that is set: itself, or that of its size in the data
// directory's models. It is "" where there is none.
func (c *Config) speechModel() string {
	isModel := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "model.bin"))
		return err == nil
	}
	if filepath.IsAbs(c.Speech.Model) || isModel(c.Speech.Model) {
		dir, err := filepath.Abs(c.Speech.Model) // the engine is started in a directory of its own
		if err != nil {
			return ""
		}
		return dir
	}
	sizes := []string{c.Speech.Model}
	if c.Speech.Model == "auto" {
		sizes = []string{"large-v3-turbo", "small", "base", "tiny"}
	}
	for _, size := range sizes {
		if dir := filepath.Join(c.models(), "whisper-"+size); isModel(dir) {
			return dir
		}
	}
	return ""
}

// checkPerception says which engines of perception are there.
func checkPerception(ctx context.Context, cfg Config) []finding {
	scans := finding{Part: "scans", State: missing, Message: "none is configured: scanned pages are not read"}
	var found []finding
	var photos finding
	speech := finding{Part: "recordings", State: missing, Message: "none is configured: recordings are not heard"}
	for _, f := range sidecar.Check(ctx, cfg.perception(nil, nil)) {
		switch {
		case f.Engine == "surya" && cfg.OCR.Engine == "auto":
			_, err := os.Stat(cfg.suryaModel())
			switch {
			case !f.OK && err == nil: // somebody has begun
				found = append(found, engineFinding("surya", f, "scans are read without it"))
			case f.OK:
				found = append(found, finding{Part: "surya", State: ok, Message: fmt.Sprintf("%s, with %s: it reads scans where the plan lends it memory of a graphics card", f.Detail, f.Version)})
			}
		case f.Engine == "faster-whisper":
			if cfg.Speech.Engine != "none" {
				speech = engineFinding("recordings", f, "recordings are not heard")
			}
		case f.Engine == "pi-heif":
			photos = engineFinding("photos", f, "HEIC photos are not read")
		case cfg.OCR.Engine == "none", scans.State == ok, cfg.OCR.Engine != "auto" && cfg.OCR.Engine != f.Engine:
		default:
			scans = engineFinding("scans", f, "scanned pages are not read")
		}
	}
	return slices.Concat([]finding{scans, speech, photos}, found, examineNPU(ctx, cfg))
}

func engineFinding(part string, f sidecar.Finding, without string) finding {
	if f.OK {
		return finding{Part: part, State: ok, Message: fmt.Sprintf("%s (%s)", cmp.Or(f.Version, f.Engine), f.Detail)}
	}
	return finding{Part: part, State: missing, Message: without, Mend: f.Detail}
}
