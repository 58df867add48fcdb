package sidecar

import (
	"strconv"

	"github.com/acervo-kb/acervo/hwplan"
)

const missingSurya1 = "Surya 1: workers.python names no Python that has surya-ocr 0.17 (pip install \"surya-ocr==0.17.*\")"

// newSurya1 returns the generation of Surya before the one that needs a llama-server: in a Python worker, whose
// answers are those of RapidOCR's. Its models are never fetched.
func newSurya1(cfg Config, memory *lease) *rapid {
	return &rapid{worker: newWorker(workerConfig{
		name: "ocr", scratch: cfg.Scratch, limits: surya1Limits, lease: memory, log: cfg.log(),
		command: cfg.surya1, env: func(p hwplan.Placement) []string { return surya1Environment(cfg.SuryaModel, p) },
		load: func(hwplan.Placement, hello) any { return map[string]any{} },
	})}
}

// surya1 is the command of its worker.
func (c Config) surya1() ([]string, error) {
	args, err := c.script("ocr.py", missingSurya1)()
	return append(args, "--engine", engineSurya1), err
}

// surya1Environment is where Surya 1 looks for its settings. By itself it would read hundreds of lines at once, for a
// card of 24 GB. The address for what is missing leads nowhere.
func surya1Environment(models string, p hwplan.Placement) []string {
	device, lines, pages := "cpu", 8, 1
	if p.Device == hwplan.OnGPU {
		device, lines, pages = "cuda", max(1, p.Batch), 2
	}
	return append(threadsOnly(p), "TORCH_DEVICE="+device, "RECOGNITION_BATCH_SIZE="+strconv.Itoa(lines), "DETECTOR_BATCH_SIZE="+strconv.Itoa(pages),
		"MODEL_CACHE_DIR="+models, "S3_BASE_URL=http://127.0.0.1:9", "DISABLE_TQDM=true")
}
