package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/natefinch/atomic"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// npuLoad is for compiling a model for the NPU, which takes minutes the first time.
const npuLoad = 15 * time.Minute

// npuRest is for how long an NPU that failed is left alone.
const npuRest = 24 * time.Hour

// An npu is how recordings are heard on the NPU, by openvino-genai, in the speech worker.
type npu struct {
	model func() string // the directory of its model, or ""
	dir   string        // of compiled models, and of the note of its last failure; "" keeps neither
	log   *slog.Logger
}

func newNPU(cfg Config) npu {
	n := npu{model: cfg.NPUModel, log: cfg.log()}
	if n.model == nil {
		n.model = func() string { return "" }
	}
	if cfg.Cache != "" {
		n.dir = filepath.Join(cfg.Cache, "openvino")
	}
	return n
}

// environment has the worker look for OpenVINO's devices, which opens drivers, where one of them is planned for.
func (n npu) environment(p hwplan.Placement) []string {
	if p.Device != hwplan.OnNPU || n.model() == "" {
		return nil
	}
	return []string{"ACERVO_OPENVINO=1"}
}

// CheckNPU finds the first thing, after the device itself, that keeps recordings from being heard on the NPU.
func CheckNPU(ctx context.Context, cfg Config) Finding {
	return checkNPU(ctx, cfg, cfg.script("speech.py", missingSpeech, speechProfiles...))
}

func checkNPU(ctx context.Context, cfg Config, start func() ([]string, error)) Finding {
	found := Finding{Engine: "openvino-genai"}
	command, err := start()
	if err != nil {
		found.Detail = err.Error()
		return found
	}
	c, err := startChild(ctx, subprocess.Config{Command: command, Name: "speech", Scratch: cfg.Scratch, Env: []string{"ACERVO_OPENVINO=1"}}, speechLimits)
	if err != nil {
		found.Detail = err.Error()
		return found
	}
	defer c.stop()
	n := newNPU(cfg)
	failure, failed := n.failure()
	found.Version = c.hello.Libs["openvino-genai"]
	switch {
	case found.Version == "":
		found.Detail = "openvino-genai is not in the Python of recordings: `acervo setup speech` installs it, unless workers.python names another"
	case !slices.Contains(c.hello.Caps.Devices, string(hwplan.OnNPU)):
		found.Detail = "OpenVINO does not find it: install Intel's NPU driver with its Level Zero library (libze_intel_npu)"
		if why := c.process.LastWords(); why != "" {
			found.Detail += "; it says " + why
		}
	case n.model() == "":
		found.Detail = "there is no Whisper in OpenVINO's format: put what `optimum-cli export openvino --model openai/whisper-small` makes into models/whisper-small-ov of the data directory"
	case failed:
		found.Detail = fmt.Sprintf("it failed on %s, and is left alone for a day: %s", failure.At.Format(time.DateTime), failure.Why)
	default:
		found.OK, found.Detail = true, "model "+filepath.Base(n.model())
	}
	return found
}

// load is what a worker is asked to load where the plan has it on the NPU; nil leaves it to faster-whisper and its
// model, as where the NPU is not among the worker's devices, or failed within a day.
func (n npu) load(p hwplan.Placement, h hello, other string) map[string]any {
	device, model := "NPU", n.model()
	if p.Device != hwplan.OnNPU || model == "" {
		return nil
	}
	_, failed := n.failure()
	if failed || !slices.Contains(h.Caps.Devices, string(hwplan.OnNPU)) {
		if other != "" {
			return nil
		}
		device = "CPU"
	}
	return map[string]any{"engine": "openvino", "model": model, "device": device, "cache": n.dir, "threads": threads(p)}
}

// An npuFailure is the last one.
type npuFailure struct {
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

func (n npu) note() string { return filepath.Join(n.dir, "npu-failed.json") }

// failure returns the last one, if it was within a day. One to come is of a clock that ran ahead.
func (n npu) failure() (npuFailure, bool) {
	var f npuFailure
	raw, err := os.ReadFile(n.note())
	if n.dir == "" || err != nil || json.Unmarshal(raw, &f) != nil {
		return f, false
	}
	return f, time.Since(f.At).Abs() < npuRest
}

// failed keeps why the NPU did not serve. Without it that is tried, and takes its time, at each start of the worker.
func (n npu) failed(device, why string) {
	if _, known := n.failure(); known || device != string(hwplan.OnNPU) || n.dir == "" {
		return
	}
	raw, err := json.Marshal(npuFailure{At: time.Now().UTC(), Why: why})
	if err == nil {
		err = os.MkdirAll(n.dir, 0o700)
	}
	if err == nil {
		err = atomic.WriteFile(n.note(), bytes.NewReader(raw))
	}
	if err != nil {
		n.log.Warn("that the NPU failed cannot be kept", "err", err)
	}
}
