package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/sidecar"
)

// The doctor names the first step on the way to an NPU that fails.
func TestCheckNPU(t *testing.T) {
	device := filepath.Join(t.TempDir(), "accel0")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	engine := sidecar.Finding{Detail: "OpenVINO does not find it"}
	serves := sidecar.Finding{OK: true, Version: "2026.4.1.0", Detail: "model whisper-small-ov"}
	tests := []struct {
		npu    hwplan.NPU
		engine sidecar.Finding
		state  string
		want   string
	}{
		{hwplan.NPU{}, serves, missing, "it has no driver"},
		{hwplan.NPU{Driver: "intel_vpu", Path: device + "1"}, serves, missing, "usermod -aG render"},
		{hwplan.NPU{Driver: "intel_vpu", Path: device}, engine, missing, "OpenVINO does not find it"},
		{hwplan.NPU{Driver: "intel_vpu", Path: device}, serves, ok, "Intel AI Boost (openvino-genai 2026.4.1.0, model whisper-small-ov)"},
		{hwplan.NPU{Driver: "npu"}, serves, ok, "Intel AI Boost"}, // Windows has no path
	}
	for _, tt := range tests {
		tt.npu.Name = "Intel AI Boost"
		got := checkNPU(&tt.npu, func() sidecar.Finding { return tt.engine })
		if got.State != tt.state || !strings.Contains(got.Message+got.Mend, tt.want) {
			t.Errorf("%+v: %+v, want %q", tt.npu, got, tt.want)
		}
	}
}

func TestNPUModel(t *testing.T) {
	c := Config{Data: t.TempDir()}
	c.Speech.Engine, c.Speech.Model = "auto", "auto"
	if got := c.npuModel(); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	for _, size := range []string{"tiny", "small"} {
		dir := filepath.Join(c.Data, "models", "whisper-"+size+"-ov")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "openvino_encoder_model.xml"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := c.npuModel(); got != dir {
			t.Errorf("%q, want %q", got, dir)
		}
	}
	if c.Speech.Model = "base"; c.npuModel() != "" {
		t.Error("another size is taken for the one that is set")
	}
	if c.Speech.Engine, c.Speech.Model = "faster-whisper", "auto"; c.npuModel() != "" {
		t.Error("the NPU is used though another engine is set")
	}
}

// A model that is set by a relative path is found from the directory of its own that an engine is started in.
func TestSpeechModelIsAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := errors.Join(os.Mkdir("whisper", 0o700), os.WriteFile(filepath.Join("whisper", "model.bin"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	c := Config{Data: t.TempDir()}
	c.Speech.Model = "whisper"
	if got := c.speechModel(); !filepath.IsAbs(got) || filepath.Base(got) != "whisper" {
		t.Errorf("it is %q", got)
	}
}
