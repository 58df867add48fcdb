package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// npuModel is a directory with the files of a Whisper in OpenVINO's format, and nothing in them.
func npuModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "whisper-small-ov")
	for _, part := range []string{"encoder_model", "decoder_model", "tokenizer", "detokenizer"} {
		writeFile(t, filepath.Join(dir, "openvino_"+part+".xml"), "<net/>")
	}
	return dir
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// npuLender is a planner of a machine without a card, whose NPU hears recordings.
func npuLender(context.Context) (*hwplan.Planner, error) {
	return hwplan.NewPlanner(hwplan.Plan{
		RAM:  hwplan.Budget{TotalBytes: 32 << 30, FreeBytes: 32 << 30},
		Lent: map[hwplan.Role]hwplan.Placement{hwplan.Transcription: {Device: hwplan.OnNPU, Model: "small", Engine: "openvino-genai", RAMBytes: 1 << 30}},
	}), nil
}

// npuSpeech hears with the real speech.py and a stand-in for openvino-genai, with nothing else but the standard library.
func npuSpeech(t *testing.T, python, fault string, cfg Config, more ...string) *Speech {
	t.Helper()
	dir, err := unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, err := filepath.Abs(filepath.Join("testdata", "openvino", "run.py"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Planner, cfg.Scratch = npuLender, t.TempDir()
	s := newSpeech(cfg, func() ([]string, error) {
		return append([]string{python, "-I", "-B", "-u", run, dir, fault}, more...), nil
	})
	t.Cleanup(s.Close)
	return s
}

func barePython(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	return python
}

func told(heard parse.Transcript) string {
	var out []string
	for _, s := range heard.Segments {
		out = append(out, fmt.Sprintf("%g-%g %s", s.StartS, s.EndS, s.Text))
	}
	return strings.Join(out, "; ")
}

func TestNPU(t *testing.T) {
	python := barePython(t)
	const onNPU, onCPU = "openvino-genai 2026.4.1.0 whisper-small-ov npu", "openvino-genai 2026.4.1.0 whisper-small-ov cpu"
	tests := []struct {
		fault, engine string
		first, last   string // of the devices that heard
		failed        string // as it is kept for a day
	}{
		{"", onNPU, "NPU", "NPU", ""},
		{"older", onNPU, "NPU", "NPU", ""},
		{"compile", onCPU, "CPU", "CPU", "ZE_RESULT_ERROR_UNSUPPORTED_FEATURE"},
		{"first inference", onCPU, "CPU", "CPU", "ZE_RESULT_ERROR_DEVICE_LOST"},
		{"later", onCPU, "NPU", "CPU", "ZE_RESULT_ERROR_DEVICE_LOST"},
		{"abort", onCPU, "CPU", "CPU", "signal: aborted"},
		{"no device", onCPU, "CPU", "CPU", ""},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			model := npuModel(t)
			cache := t.TempDir()
			s := npuSpeech(t, python, tt.fault, Config{NPUModel: func() string { return model }, Cache: cache}, "bare")
			heard, err := s.Transcribe(t.Context(), tone(t, 70), 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("0-14 %[1]s 28.0 s de voz.; 14-28 Fin.; 28-42 %[2]s 28.0 s de voz.; 42-56 Fin.; 56-63 %[2]s 14.0 s de voz.; 63-70 Fin.", tt.first, tt.last)
			if got := told(heard); got != want || heard.Engine != tt.engine || len(heard.Unread) > 0 {
				t.Errorf("%s heard %s\nwant %s heard %s; unread %v", heard.Engine, got, tt.engine, want, heard.Unread)
			}
			if older := tt.fault == "older"; (heard.Language == "es") == older { // it does not tell
				t.Errorf("language %q", heard.Language)
			}
			failure, known := s.npu.failure()
			if known != (tt.failed != "") || !strings.Contains(failure.Why, tt.failed) {
				t.Errorf("kept is %+v, want %q", failure, tt.failed)
			}
			if _, err := os.Stat(filepath.Join(cache, "openvino", "encoder.blob")); (err == nil) != (tt.first == "NPU" || tt.fault == "first inference" || tt.fault == "abort") {
				t.Errorf("what was compiled: %v", err)
			}
		})
	}
}

// The NPU that failed is left alone for a day, by the next process too.
func TestNPURests(t *testing.T) {
	python, model, cache := barePython(t), npuModel(t), t.TempDir()
	cfg := Config{NPUModel: func() string { return model }, Cache: cache}
	n := newNPU(cfg)
	n.failed("cuda", "another device")
	if _, known := n.failure(); known {
		t.Error("another device's failure is taken for the NPU's")
	}
	n.failed("npu", "driver")
	heard, err := npuSpeech(t, python, "", cfg, "bare").Transcribe(t.Context(), tone(t, 5), 0, nil)
	if err != nil || !strings.HasSuffix(heard.Engine, " cpu") {
		t.Errorf("%q, %v", heard.Engine, err)
	}
	raw, _ := json.Marshal(npuFailure{At: time.Now().Add(30 * npuRest), Why: "driver"})
	writeFile(t, n.note(), string(raw))
	if _, known := n.failure(); known {
		t.Error("a failure of next month, before the clock was set right, is waited for")
	}
	raw, _ = json.Marshal(npuFailure{At: time.Now().Add(-npuRest), Why: "driver"})
	writeFile(t, n.note(), string(raw))
	heard, err = npuSpeech(t, python, "", cfg, "bare").Transcribe(t.Context(), tone(t, 5), 0, nil)
	if err != nil || !strings.HasSuffix(heard.Engine, " npu") {
		t.Errorf("after a day: %q, %v", heard.Engine, err)
	}
}

// Which engine is asked for: the plan's device first, and what is there.
func TestNPULoad(t *testing.T) {
	model := func() string { return "ov" }
	onNPU, both, without := hwplan.Placement{Device: hwplan.OnNPU}, hello{}, hello{}
	both.Caps.Devices, without.Caps.Devices = []string{"cpu", "npu"}, []string{"cpu"}
	tests := []struct {
		name      string
		placement hwplan.Placement
		hello     hello
		model     func() string
		other     string
		want      any // the device; nil is faster-whisper
	}{
		{"a GPU is lent", hwplan.Placement{Device: hwplan.OnGPU}, both, model, "ct2", nil},
		{"the plan has the NPU", onNPU, both, model, "ct2", "NPU"},
		{"no model for it", onNPU, both, nil, "ct2", nil},
		{"OpenVINO does not see it", onNPU, without, model, "ct2", nil},
		{"nor is there another model", onNPU, without, model, "", "CPU"},
		{"the plan has the CPU", hwplan.Placement{Device: hwplan.OnCPU}, both, model, "ct2", nil},
	}
	for _, tt := range tests {
		n := newNPU(Config{NPUModel: tt.model, Cache: t.TempDir()})
		request := n.load(tt.placement, tt.hello, tt.other)
		if tt.want == nil && request != nil || tt.want != nil && request["device"] != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, request, tt.want)
		}
	}
}

// What doctor says: the first thing that is wrong.
func TestCheckNPU(t *testing.T) {
	python, model := barePython(t), npuModel(t)
	dir, err := unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, err := filepath.Abs(filepath.Join("testdata", "openvino", "run.py"))
	if err != nil {
		t.Fatal(err)
	}
	bare := func(fault string) func() ([]string, error) {
		return func() ([]string, error) { return []string{python, "-I", "-B", "-u", run, dir, fault, "bare"}, nil }
	}
	has := func() string { return model }
	failing := t.TempDir()
	newNPU(Config{Cache: failing}).failed("npu", "the driver is gone")
	tests := []struct {
		name  string
		start func() ([]string, error)
		cfg   Config
		want  string // "" is that it serves
	}{
		{"no Python", func() ([]string, error) { return nil, ErrMissing }, Config{}, "not installed"},
		{"no package", bare("not installed"), Config{NPUModel: has}, "openvino-genai is not in the Python"},
		{"no device", bare("no device"), Config{NPUModel: has}, "OpenVINO does not find it"},
		{"no model", bare(""), Config{}, "models/whisper-small-ov"},
		{"failed", bare(""), Config{NPUModel: has, Cache: failing}, "the driver is gone"},
		{"serves", bare(""), Config{NPUModel: has}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := checkNPU(t.Context(), tt.cfg, tt.start)
			if found.OK != (tt.want == "") || !strings.Contains(found.Detail, tt.want) {
				t.Errorf("%+v, want %q", found, tt.want)
			}
		})
	}
}

// With PyAV and the voice detector that it really has, over a stand-in for what computes.
func TestNPUWithRealDecoder(t *testing.T) {
	python, model := testPython(t), npuModel(t)
	s := npuSpeech(t, python, "", Config{NPUModel: func() string { return model }, Cache: t.TempDir()})
	heard, err := s.Transcribe(t.Context(), sharedFile(t, "audio/voz-es-pausas-20s.mp3"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s", heard.Engine, told(heard))
	if len(heard.Segments) == 0 || !strings.HasSuffix(heard.Engine, " npu") {
		t.Errorf("heard %+v", heard)
	}
	last := 0.0
	for _, s := range heard.Segments { // as faster-whisper's, in order and inside of the recording
		if s.StartS < last || s.EndS > heard.DurationS {
			t.Errorf("segment %+v after %g of %g", s, last, heard.DurationS)
		}
		last = s.EndS
	}
}

// wheel is run by Python: the stand-in has no name, and no parameter, that the real openvino-genai lacks.
const wheel = `
import importlib.util, os, sys
import openvino, openvino_genai
def standin(name):
    spec = importlib.util.spec_from_file_location("standin_" + name, os.path.join(sys.argv[1], name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
ours = standin("openvino_genai")
for kind in ("ASRGenerationConfig", "ASRDecodedResultChunk", "ASRDecodedResults", "ASRPipeline"):
    real = getattr(openvino_genai, kind)
    mine = getattr(ours, kind)
    made = {"ASRGenerationConfig": lambda: mine(), "ASRDecodedResultChunk": lambda: mine(0, 1, ""), "ASRDecodedResults": lambda: mine([], [], [])}
    names = [n for n in dir(made[kind]() if kind in made else mine) if not n.startswith("_")]
    assert names, kind
    missing = [n for n in names if not hasattr(real, n)]
    assert not missing, (kind, missing)
assert hasattr(openvino_genai, "WhisperPipeline")
said = openvino_genai.ASRPipeline.generate.__doc__
assert "audio_inputs: " in said and "generation_config: " in said and "streamer: " in said and "**kwargs" in said, said
assert "models_path: " in openvino_genai.ASRPipeline.__init__.__doc__ and "device: str, **kwargs" in openvino_genai.ASRPipeline.__init__.__doc__
config = openvino_genai.ASRGenerationConfig()
config.return_timestamps, config.task, config.language, config.is_multilingual = True, "transcribe", "<|es|>", True
config.language = None
assert config.num_beams == 1
assert "CPU" in openvino.Core().available_devices
openvino.Core().set_property("CPU", {"INFERENCE_NUM_THREADS": 2})
try:
    openvino_genai.ASRPipeline(sys.argv[1], "CPU", CACHE_DIR="/nonexistent", INFERENCE_NUM_THREADS=2)
    raise SystemExit("it opens what is no model")
except RuntimeError:
    pass
import importlib.metadata
print("openvino-genai", importlib.metadata.version("openvino-genai"))
`

func TestWheel(t *testing.T) {
	python := os.Getenv("ACERVO_TEST_OPENVINO_PYTHON")
	if python == "" {
		t.Skip("ACERVO_TEST_OPENVINO_PYTHON names no Python with openvino-genai")
	}
	out, err := exec.Command(python, "-I", "-B", "-c", wheel, filepath.Join("testdata", "openvino")).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}
