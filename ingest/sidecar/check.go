package sidecar

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// A Finding is what Check found out of one engine.
type Finding struct {
	Engine  string // surya, surya1, tesseract, rapidocr, faster-whisper, pi-heif
	OK      bool
	Version string // of it and of what it stands on; "" where it is not there
	Detail  string // what it lacks and the one thing that mends it, or what it has
}

// Check says which engines can run on this machine. The Python workers are started,
// asked what they are, and ended; no model is loaded.
func Check(ctx context.Context, cfg Config) []Finding {
	var scans []Finding
	if cfg.Engine == engineSurya1 { // nobody else needs to know that it is not there
		scans = append(scans, checkScript(ctx, cfg, "ocr", engineSurya1, cfg.surya1))
	}
	return append(scans,
		checkTesseract(ctx, cfg),
		checkScript(ctx, cfg, "ocr", engineRapid, cfg.script("ocr.py", missingRapid, ProfileOCR)),
		checkModel(cfg.model(), checkScript(ctx, cfg, "speech", "faster-whisper", cfg.script("speech.py", missingSpeech, speechProfiles...))),
		checkScript(ctx, cfg, "photo", "pi-heif", cfg.photos()),
		checkSurya(ctx, cfg),
	)
}

func checkSurya(ctx context.Context, cfg Config) Finding {
	found := Finding{Engine: engineSurya}
	binary, err := findLlama(cfg.LlamaServer, cfg.SuryaModel)
	if err == nil {
		found.Version, err = llamaVersion(ctx, binary)
	}
	if err != nil {
		found.Detail = err.Error()
		return found
	}
	found.OK, found.Detail = true, "Surya 2 in "+cfg.SuryaModel
	return found
}

func checkTesseract(ctx context.Context, cfg Config) Finding {
	t := newTesseract(cfg, nil)
	version, err := t.name(ctx)
	if err != nil {
		return Finding{Engine: engineTesseract, Detail: err.Error()}
	}
	found := Finding{Engine: engineTesseract, Version: version}
	installed, err := t.installed(ctx)
	if err != nil {
		found.Detail = err.Error()
		return found
	}
	found.OK, found.Detail = true, "languages: "+strings.Join(installed, " ")
	// osd is what tells how a page is turned.
	for _, language := range append(strings.Split(t.languages, "+"), "osd") {
		if !slices.Contains(installed, language) {
			found.OK, found.Detail = false, fmt.Sprintf("it lacks %s: apt install tesseract-ocr-%s", language, language)
		}
	}
	return found
}

func checkScript(ctx context.Context, cfg Config, name, engine string, start func() ([]string, error)) Finding {
	command, err := start()
	if err != nil {
		return Finding{Engine: engine, Detail: strings.TrimPrefix(err.Error(), ErrMissing.Error()+": ")}
	}
	c, err := startChild(ctx, subprocess.Config{Command: command, Name: name, Scratch: cfg.Scratch, Offline: true}, ocrLimits)
	if err != nil {
		return Finding{Engine: engine, Detail: err.Error()}
	}
	defer c.stop()
	var libs []string
	for lib, version := range c.hello.Libs {
		libs = append(libs, lib+" "+version)
	}
	slices.Sort(libs)
	return Finding{
		Engine: engine, OK: true, Version: strings.Join(libs, ", "),
		Detail: "Python " + c.hello.Python + ", devices: " + strings.Join(c.hello.Caps.Devices, " "),
	}
}

func checkModel(dir string, found Finding) Finding {
	if !found.OK {
		return found
	}
	if dir == "" {
		found.OK, found.Detail = false, "it lacks "+missingWhisper
		return found
	}
	if lacks := lacking(dir, whisperFiles); len(lacks) > 0 {
		found.OK, found.Detail = false, fmt.Sprintf("its model in %s has no %s: `acervo setup speech` fetches what is missing", dir, strings.Join(lacks, " and no "))
		return found
	}
	found.Detail += ", model " + filepath.Base(dir)
	return found
}
