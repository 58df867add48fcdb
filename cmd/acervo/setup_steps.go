package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/sidecar"
	"github.com/acervo-kb/acervo/retrieval/ollama"
)

// A step is one thing that a set-up sees to.
type step struct {
	Name    string `json:"name"`
	From    string `json:"from"`
	Bytes   int64  `json:"bytes"` // that are downloaded, about; 0 where it is not known
	License string `json:"license"`
	State   string `json:"state"`
	Message string `json:"message,omitempty"` // why it is not as it should be, and what mends it

	terms     string // of a licence that must be accepted by itself
	after     string // what is to be done when it is done
	elsewhere bool   // it is kept on another disk, maybe of another machine
	counted   bool   // its bytes are counted while it runs
	do        func(ctx context.Context, bar *stepBar) error
}

// States of a step.
const (
	stateThere   = "there"
	stateTodo    = "to do"
	stateBlocked = "missing"
	stateSkipped = "not wanted"
	stateDone    = "done"
	stateFailed  = "failed"
)

func anyIn(steps []step, state string) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return s.State == state })
}

// steps finds out what there is.
func (s *setup) steps(ctx context.Context, parts []string) []step {
	var steps []step
	wants := func(part string) bool { return slices.Contains(parts, part) }
	plan, err := makePlan(ctx, s.cfg, hwplan.Description{}) // without one, all computes on the CPU
	if wants(partModels) {
		steps = append(steps, s.ollamaSteps(ctx)...)
		if len(steps) > 0 && steps[0].Name == s.cfg.LLM.Model && steps[0].State == stateTodo && err == nil && !plan.Fits {
			steps[0].Message = "it takes more memory than there is; `acervo plan` says how much. A smaller one is taken with --set llm.model=NAME"
		}
	}
	if wants(partOCR) {
		st := s.environment(sidecar.ProfileOCR, "RapidOCR", "Apache-2.0; LGPL-3.0 for HEIC")
		if e := s.cfg.OCR.Engine; len(parts) > 1 && e != "auto" && e != "rapidocr" {
			st.State, st.Message = stateSkipped, "ocr.engine is "+e
		}
		steps = append(steps, st)
	}
	if wants(partSpeech) || wants(partModels) {
		steps = append(steps, s.speechSteps(plan, wants(partSpeech), len(parts) > 1)...)
	}
	if wants(partSurya) {
		steps = append(steps, s.suryaSteps()...)
	}
	return steps
}

// suryaTerms say what the licence of Surya's model allows, and where it stands.
const suryaTerms = "The model of Surya 2 is under a modified AI Pubs Open RAIL-M licence, not a free one. It may be used for research, for\n" +
	"personal use, and by companies with less than 5 million US dollars of revenue and funding; others need a licence of\n" +
	"Datalab's. Its text: https://huggingface.co/datalab-to/surya-ocr-2/blob/main/LICENSE"

// suryaSteps are the model of Surya 2 and the program that runs it, which a system's own packages bring.
func (s *setup) suryaSteps() []step {
	weights := s.model(sidecar.Surya(), s.cfg.suryaModel())
	weights.terms, weights.after = suryaTerms, "; a server that runs plans for it when it is started again"
	server := step{Name: "llama-server", From: "llama.cpp", License: "MIT", State: stateThere}
	if _, err := exec.LookPath(cmp.Or(s.cfg.OCR.LlamaServer, "llama-server")); err != nil {
		server.State = stateBlocked
		server.Message = "it is not installed: " + byOS("`winget install llama.cpp` brings it", "`brew install llama.cpp` brings it",
			"a build of github.com/ggml-org/llama.cpp brings it, and so does `brew install llama.cpp`") + ", or ocr.llama_server names it"
	}
	return []step{weights, server}
}

// byOS is what holds for the system that this is.
func byOS(windows, darwin, other string) string {
	switch runtime.GOOS {
	case "windows":
		return windows
	case "darwin":
		return darwin
	}
	return other
}

// ollamaSteps are the models that an Ollama runs, or that it is to be installed first.
func (s *setup) ollamaSteps(ctx context.Context) []step {
	var steps []step
	for _, m := range []ModelConfig{s.cfg.LLM, s.cfg.Embedder} {
		if m.Provider != "auto" && m.Provider != "ollama" {
			continue
		}
		st := ollamaStep(ctx, m)
		if !slices.ContainsFunc(steps, func(other step) bool { return other.Name == st.Name && other.From == st.From }) {
			steps = append(steps, st)
		}
	}
	return steps
}

func ollamaStep(ctx context.Context, m ModelConfig) step {
	cfg := ollama.Config{URL: m.URL, Model: m.Model, Key: m.Key}
	status := ollama.Check(ctx, cfg)
	if status.Version == "" {
		return step{Name: "Ollama", From: m.URL, State: stateBlocked, Message: fmt.Sprintf("%v. %s", status.Err, ollamaMends(m))}
	}
	st := step{Name: m.Model, From: "Ollama " + status.Version, State: stateThere, elsewhere: true, counted: true}
	if known, ok := hwplan.Lookup(m.Model); ok {
		st.Bytes, st.License = known.FileBytes, known.License
		if !known.Commercial && !strings.Contains(st.License, "non-commercial") {
			st.License += " (non-commercial)"
		}
	}
	switch {
	case status.Present:
	case status.Mend != "":
		st.State = stateTodo
		st.do = func(ctx context.Context, bar *stepBar) error { return ollama.Pull(ctx, cfg, bar.bytes) }
	default:
		st.State, st.Message = stateBlocked, status.Err.Error()
	}
	return st
}

// ollamaMends is what to do where no Ollama answers.
func ollamaMends(m ModelConfig) string {
	if !m.planned() {
		return "Start it there, or correct llm.url and embedder.url; then run this again"
	}
	if _, err := exec.LookPath("ollama"); err == nil {
		return "Start it with `ollama serve`, then run this again"
	}
	command := byOS("winget install Ollama.Ollama", "brew install --cask ollama", "curl -fsSL https://ollama.com/install.sh | sh")
	return fmt.Sprintf("Install it with `%s`, then run this again", command)
}

// environmentBytes are the downloads of the profiles on Linux with x86-64, measured.
var environmentBytes = map[sidecar.Profile]int64{sidecar.ProfileOCR: 148e6, sidecar.ProfileSpeech: 135e6, sidecar.ProfileSpeechCUDA: 1433e6, sidecar.ProfileSpeechNPU: 203e6}

func (s *setup) environment(p sidecar.Profile, name, license string) step {
	st := step{Name: name, From: "Python packages", Bytes: environmentBytes[p], License: license, State: stateTodo}
	switch envs := s.cfg.environments(); {
	case s.cfg.Workers.Python != "":
		st.State, st.Message = stateSkipped, "workers.python names "+s.cfg.Workers.Python+", which is used as it is"
	case p.Interpreter(envs) != "":
		st.State = stateThere
	default:
		st.do = func(ctx context.Context, bar *stepBar) error { return sidecar.Build(ctx, p, envs, bar.line) }
	}
	return st
}

// speechSteps are the environment of faster-whisper, if it is asked for, and its model.
func (s *setup) speechSteps(plan hwplan.Plan, engine, all bool) []step {
	profile, size := s.speechPlan(plan)
	var steps []step
	if engine {
		license := "MIT"
		switch profile {
		case sidecar.ProfileSpeechCUDA:
			license = "MIT; NVIDIA's for CUDA"
		case sidecar.ProfileSpeechNPU:
			license = "MIT; Apache-2.0 for OpenVINO"
		}
		steps = append(steps, s.environment(profile, "faster-whisper", license))
	}
	if m, ok := sidecar.Whisper(size); ok {
		steps = append(steps, s.model(m, filepath.Join(s.cfg.models(), m.Name)))
	} else {
		st := step{Name: "Whisper model", State: stateThere}
		if s.cfg.speechModel() == "" {
			st.State = stateBlocked
			st.Message = fmt.Sprintf("speech.model is %q: it can be auto, a directory that holds a model, or one of %s", size, strings.Join(sidecar.WhisperSizes, ", "))
		}
		steps = append(steps, st)
	}
	if all && s.cfg.Speech.Engine == "none" {
		for i := range steps {
			steps[i].State, steps[i].Message = stateSkipped, "speech.engine is none"
		}
	}
	return steps
}

// speechPlan is what hears on this machine: on the plan's GPU or NPU with the libraries for it, else on the CPU; a smaller model but on the GPU.
func (s *setup) speechPlan(plan hwplan.Plan) (sidecar.Profile, string) {
	profile, size := sidecar.ProfileSpeech, "small"
	place, ok := plan.Placement(hwplan.Transcription)
	if ok && runtime.GOARCH == "amd64" && runtime.GOOS != "darwin" { // what NVIDIA's and Intel's libraries come for
		switch place.Device {
		case hwplan.OnGPU:
			profile, size = sidecar.ProfileSpeechCUDA, place.Model
		case hwplan.OnNPU:
			profile = sidecar.ProfileSpeechNPU
		}
	}
	if s.cfg.Speech.Model != "auto" {
		size = s.cfg.Speech.Model
	}
	return profile, size
}

// model is a model of the hub's, to be put into dir. One that was put there by hand is used as it is.
func (s *setup) model(m sidecar.Model, dir string) step {
	st := step{Name: m.Name, From: "Hugging Face, " + m.Repo, Bytes: m.Bytes, License: m.License, State: stateThere, counted: true}
	if len(m.Lacking(dir)) > 0 {
		hub := sidecar.Hub{URL: os.Getenv("HF_ENDPOINT"), Token: os.Getenv("HF_TOKEN")} // as the hub's own tools have it
		st.State = stateTodo
		st.do = func(ctx context.Context, bar *stepBar) error { return hub.Fetch(ctx, m, dir, bar.bytes) }
	}
	return st
}
