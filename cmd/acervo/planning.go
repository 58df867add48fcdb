package main

import (
	"log/slog"
	"net"
	"net/url"
	"path/filepath"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/sidecar"
	"github.com/acervo-kb/acervo/retrieval/ollama"
)

// newKeeper plans this machine, with the models that an Ollama on it runs.
func newKeeper(cfg Config, detector *hwplan.Detector, log *slog.Logger) (*hwplan.Keeper, error) {
	k := hwplan.KeeperConfig{Read: detector.Read, Path: filepath.Join(cfg.Data, "hwplan.json"), Log: log, MoveEmbedder: !cfg.said["embedder.model"], Lent: cfg.lent}
	server := cfg.LLM
	if cfg.LLM.planned() {
		k.Chat = cfg.LLM.Model
	} else {
		server = cfg.Embedder
	}
	if cfg.Embedder.planned() && sameServer(cfg.Embedder.URL, server.URL) {
		k.Embedder = cfg.Embedder.Model
	}
	if cfg.said["answer.context"] {
		k.Context = cfg.Answer.Context
	}
	var err error
	if k.Engine, err = ollama.NewEngine(ollama.Config{URL: server.URL, Key: server.Key}); err != nil {
		return nil, err
	}
	return hwplan.NewKeeper(k), nil
}

// lent is what perception computes with, in turns with the language model. Memory of the card is planned for no engine
// that is not there: a language model would give way to nothing.
func (c *Config) lent() []hwplan.Job {
	var jobs []hwplan.Job
	for _, job := range hwplan.DefaultJobs() {
		switch {
		case job.Role == hwplan.Transcription && c.Speech.Engine == "none", job.Role == hwplan.OCR && c.OCR.Engine == "none":
		case job.Role == hwplan.OCR:
			jobs = append(jobs, c.scanJob(job))
		default:
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// scanJob is what reads scans: surya is the job of Surya 2 on a GPU, with what reads where it has none.
func (c *Config) scanJob(surya hwplan.Job) hwplan.Job {
	const suryaRAM = 2500e6 // on the CPU; an assumption: weights, image encoder and context in 16 bits
	onCPU := hwplan.Job{Role: hwplan.OCR, Engine: "tesseract", Model: "tesseract", RAMBytes: 300e6}
	perception := c.perception(nil, nil)
	switch {
	case c.OCR.Engine == "surya1" && c.Workers.Python != "":
		return surya1Job
	case c.OCR.Engine == "surya1":
		onCPU = *surya1Job.CPU
		onCPU.Role = hwplan.OCR
	case c.OCR.Engine == "surya":
		onCPU = hwplan.Job{Role: hwplan.OCR, Engine: surya.Engine, Model: surya.Model, RAMBytes: suryaRAM}
	case c.OCR.Engine == "rapidocr", c.OCR.Engine == "auto" && sidecar.RapidInstalled(perception):
		onCPU = *surya.CPU
		onCPU.Role = hwplan.OCR
	}
	if c.OCR.Engine != "auto" && c.OCR.Engine != "surya" || !sidecar.SuryaInstalled(perception) {
		return onCPU
	}
	surya.CPU = &onCPU
	return surya
}

// surya1Job reads scans with Surya 1. Its README gives 40 MB a line and 440 MB a page that is searched for lines, of which two
// are done at once; its weights and torch's own memory are an assumption.
var surya1Job = hwplan.Job{
	Role: hwplan.OCR, Engine: "surya1", Model: "surya-1", VRAMBytes: 2800e6, ItemBytes: 40e6, MaxBatch: 64, RAMBytes: 2500e6,
	CPU: &hwplan.Job{Engine: "surya1", Model: "surya-1", RAMBytes: 5000e6},
}

// planned reports whether the model is run by an Ollama on this machine: what another has is not ours to plan.
func (m ModelConfig) planned() bool {
	if m.Provider != "auto" && m.Provider != "ollama" {
		return false
	}
	u, err := url.Parse(m.URL)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) // 0.0.0.0 is what OLLAMA_HOST often is
}

// sameServer reports whether two URLs of this machine are of one server, which may be written in several ways.
func sameServer(a, b string) bool {
	u, errA := url.Parse(a)
	v, errB := url.Parse(b)
	return errA == nil && errB == nil && u.Scheme == v.Scheme && u.Port() == v.Port()
}
