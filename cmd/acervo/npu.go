package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/sidecar"
)

// npuModel is the directory of the Whisper for an NPU: that of the size that is set, or the best that is there, in the
// data directory's models. It is "" where there is none, or an NPU is not wanted.
func (c *Config) npuModel() string {
	if c.Speech.Engine != "auto" {
		return ""
	}
	sizes := []string{c.Speech.Model}
	if c.Speech.Model == "auto" {
		sizes = []string{"small", "base", "tiny"}
	}
	for _, size := range sizes {
		dir := filepath.Join(c.models(), "whisper-"+filepath.Base(size)+"-ov")
		if _, err := os.Stat(filepath.Join(dir, "openvino_encoder_model.xml")); err == nil {
			return dir
		}
	}
	return ""
}

// examineNPU says whether recordings are heard on the machine's NPU; nothing where there is none, or it is not wanted.
func examineNPU(ctx context.Context, cfg Config) []finding {
	if cfg.Speech.Engine != "auto" {
		return nil
	}
	detector := hwplan.NewDetector(cfg.Data)
	defer func() { _ = detector.Close() }() // nothing is written
	npu := detector.Read(ctx).NPU
	if npu == nil {
		return nil
	}
	return []finding{checkNPU(npu, func() sidecar.Finding { return sidecar.CheckNPU(ctx, cfg.perception(nil, nil)) })}
}

// checkNPU follows the way to an NPU, to the first step that fails.
func checkNPU(npu *hwplan.NPU, engine func() sidecar.Finding) finding {
	f := finding{Part: "npu", State: missing, Message: npu.Name + ": recordings are heard without it"}
	if npu.Driver == "" {
		f.Mend = "it has no driver: on Linux that is intel_vpu, of 6.8 or newer; on Windows install Intel's NPU driver"
		return f
	}
	if npu.Path != "" {
		device, err := os.OpenFile(npu.Path, os.O_RDWR, 0)
		if err != nil {
			f.Mend = fmt.Sprintf("%s cannot be opened: sudo usermod -aG render $USER, then log in again", npu.Path)
			return f
		}
		_ = device.Close()
	}
	found := engine()
	if !found.OK {
		f.Mend = found.Detail
		return f
	}
	return finding{Part: "npu", State: ok, Message: fmt.Sprintf("%s (openvino-genai %s, %s)", npu.Name, found.Version, found.Detail)}
}
