package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
)

// The card is planned for Surya where it is installed and may be used, and for no other engine of scans.
func TestScansArePlannedAsInstalled(t *testing.T) {
	data := t.TempDir()
	models := filepath.Join(data, "models", "surya-2")
	server := filepath.Join(data, "llama-server.exe") // the ending is for Windows
	if err := os.MkdirAll(models, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(models, "surya-2.gguf"), filepath.Join(models, "surya-2-mmproj.gguf"), server} {
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		engine, server, python string
		gpu, cpu               string // what reads with a card, and without one
	}{
		{"auto", server, "", "surya gpu", "tesseract cpu"},
		{"auto", server, "python3", "surya gpu", "rapidocr cpu"},
		{"auto", "no-such-llama-server", "", "tesseract cpu", "tesseract cpu"},
		{"auto", "no-such-llama-server", "python3", "rapidocr cpu", "rapidocr cpu"},
		{"surya", server, "python3", "surya gpu", "surya cpu"},
		{"surya", "no-such-llama-server", "", "surya cpu", "surya cpu"},
		{"tesseract", server, "python3", "tesseract cpu", "tesseract cpu"},
		{"rapidocr", server, "python3", "rapidocr cpu", "rapidocr cpu"},
		{"surya1", server, "python3", "surya1 gpu", "surya1 cpu"},
		{"surya1", server, "", "surya1 cpu", "surya1 cpu"},
		{"none", server, "python3", " ", " "},
	} {
		cfg := Config{Data: data, OCR: OCRConfig{Engine: tt.engine, Model: "auto", LlamaServer: tt.server}}
		cfg.Workers.Python = tt.python
		r := hwplan.NewRequest(hwplan.Hardware{OS: "linux"})
		r.Lent = cfg.lent()
		where := func() string {
			p := hwplan.Fit(r).Lent[hwplan.OCR]
			return p.Engine + " " + string(p.Device)
		}
		cpu := where()
		r.Hardware.GPUs = []hwplan.GPU{{Memory: hwplan.Memory{TotalBytes: 6 * hwplan.GiB, FreeBytes: 6 * hwplan.GiB}}}
		if gpu := where(); gpu != tt.gpu || cpu != tt.cpu {
			t.Errorf("%s with %s: %q and %q, want %q and %q", tt.engine, tt.server, gpu, cpu, tt.gpu, tt.cpu)
		}
	}
}
