// Package sidecar runs the engines that read pictures and hear recordings as
// supervised child processes.
//
// [OCR] reads the image of a page with Surya, RapidOCR or Tesseract, [Speech] hears a
// recording with faster-whisper or openvino-genai, and [Photos] decodes pictures that Go
// does not, with pi-heif. Tesseract is a process a page, and Surya a
// llama-server that is asked over HTTP on this machine (llama.go). The others are
// Python workers that stay: they speak JSON lines over pipes (protocol.go, and
// python/protocol.py on their side), are held to time-outs, ended with all that
// they have started, and started again when they die. Each takes its memory from a
// [hwplan.Planner] and gives it back when the process has ended.
//
// No worker downloads anything, and no document leaves the machine by one: its
// environment says offline, and holds neither keys nor proxies. What they need is
// fetched beforehand, by [Build] and [Hub.Fetch], which only `acervo setup` calls.
package sidecar

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
)

// What a caller may decide on.
var (
	// ErrMissing says that an engine is not on this machine. The text says the one thing that mends it.
	ErrMissing = errors.New("the engine is not installed")
	// ErrUnavailable says that an engine does not start, or died so often that it is left alone for a while. Try later.
	ErrUnavailable = errors.New("the engine does not run now")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("the engine is closed")
)

// A Config says how the engines are run. Its zero value finds what the system has.
type Config struct {
	// Python is the interpreter, or the virtual environment, that has the packages of the workers. "" takes what
	// [Build] has made below Environments, which may be "".
	Python       string
	Environments string
	// Engine is the OCR engine: surya, surya1, rapidocr, tesseract or auto, which is also what "" is.
	Engine string
	// SuryaModel is the directory of Surya's files (of Surya 1, the one that it calls MODEL_CACHE_DIR), and LlamaServer the program that runs them; "" is llama-server in PATH.
	SuryaModel, LlamaServer string
	// Languages are those of Tesseract, as it calls them, when a caller names none, and those that speech
	// most likely is in; "" is spa+eng.
	Languages string
	// Cache is the directory below which the workers' sources are put.
	Cache string
	// Scratch is where each worker's own directory is made; "" is the system's temporary directory.
	Scratch string
	// Model returns the directory of the speech model, in the format of CTranslate2, or "". It is asked at each
	// start of the worker, so that a model may come while the program runs. Nil is none.
	Model func() string
	// NPUModel returns the directory of the speech model for an NPU, in the format of OpenVINO, or "". Nil is none.
	NPUModel func() string
	// Planner returns the planner that lends the engines' memory. Nil, and a nil planner, are none.
	Planner func(context.Context) (*hwplan.Planner, error)
	// Log may be nil.
	Log *slog.Logger
}

func (c Config) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

func (c Config) model() string {
	if c.Model == nil {
		return ""
	}
	return c.Model()
}

// limits bound what a worker may do.
type limits struct {
	hello  time.Duration // from its start to its first line
	load   time.Duration // of its model
	stall  time.Duration // without a line while it works
	cancel time.Duration // from a cancel to its answer
	ping   time.Duration // between two looks at its memory while it works
	leave  time.Duration // from its bye to its end
	idle   time.Duration // without work, then it ends
	units  int           // pages or recordings before it is replaced
	rssMB  int           // more ends it
	// addressMB is what it may map where it computes on the CPU; 0 is no limit.
	addressMB int
	pause     time.Duration // before it is started again, doubled at each death
	rest      time.Duration // after so many deaths that it is given up
	deaths    int           // without a success, until it is given up
}

// ocrLimits and speechLimits: the imports of onnxruntime and ctranslate2 are slow
// from a cold disk, and a busy machine is several times slower than an idle one.
// The address space is for what grows between two looks at the memory: onnxruntime
// was seen to map 1.7 GB where it holds 0.8, CTranslate2 2.2 GB where it holds 0.4, and each thread adds some.
var (
	ocrLimits = limits{
		hello: time.Minute, load: 3 * time.Minute, stall: 10 * time.Minute, cancel: 10 * time.Second, ping: 5 * time.Second,
		leave: 5 * time.Second, idle: 2 * time.Minute, units: 500, rssMB: 3 << 10, addressMB: 10 << 10,
		pause: time.Second, rest: 10 * time.Minute, deaths: 5,
	}
	speechLimits = limits{
		hello: time.Minute, load: 3 * time.Minute, stall: 3 * time.Minute, cancel: 10 * time.Second, ping: 5 * time.Second,
		leave: 5 * time.Second, idle: 2 * time.Minute, units: 50, rssMB: 6 << 10, addressMB: 16 << 10,
		pause: time.Second, rest: 10 * time.Minute, deaths: 5,
	}
)

// photoLimits: the largest photo takes 0.5 GB, which is given back after it.
var photoLimits = limits{
	hello: time.Minute, load: time.Minute, stall: photoLimit, cancel: 10 * time.Second, ping: time.Second,
	leave: 5 * time.Second, idle: 30 * time.Second, units: 500, rssMB: 1 << 10, addressMB: 4 << 10,
	pause: time.Second, rest: 10 * time.Minute, deaths: 5,
}

// suryaLimits: a model of 1.3 GB is loaded from a cold disk, and on a CPU nothing is heard until the image was looked at.
var suryaLimits = limits{
	load: 5 * time.Minute, stall: 5 * time.Minute, idle: 2 * time.Minute, units: 500,
	pause: time.Second, rest: 10 * time.Minute, deaths: 5,
}

// surya1Limits: torch is slow to import and maps far more than it holds, and Surya 1 holds more memory with each page.
var surya1Limits = limits{
	hello: time.Minute, load: 5 * time.Minute, stall: 10 * time.Minute, cancel: 10 * time.Second, ping: 5 * time.Second,
	leave: 5 * time.Second, idle: 2 * time.Minute, units: 100, rssMB: 10 << 10,
	pause: time.Second, rest: 10 * time.Minute, deaths: 5,
}

// maxPause bounds the time before a worker that died is started again.
const maxPause = time.Minute
