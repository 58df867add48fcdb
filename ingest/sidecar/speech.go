package sidecar

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// windowLimit is for hearing one window, which has at most 15 minutes, and for
// decoding what comes before it, which is hundreds of times faster.
const windowLimit = time.Hour

// Speech hears recordings in a Python worker: with faster-whisper, or with openvino-genai on an NPU.
type Speech struct {
	worker  *worker
	model   func() string
	windowS float64 // seconds of a window; 0 leaves it to the worker
	// expected are the languages, of two letters, of which one is taken where the model is not sure.
	expected []string
	npu      npu
}

// NewSpeech returns a Speech. Nothing runs before its first recording.
func NewSpeech(cfg Config) *Speech {
	return newSpeech(cfg, cfg.script("speech.py", missingSpeech, speechProfiles...))
}

func newSpeech(cfg Config, command func() ([]string, error)) *Speech {
	s := &Speech{model: cfg.model, expected: shortCodes(cmp.Or(cfg.Languages, defaultLanguages)), npu: newNPU(cfg)}
	s.worker = newWorker(workerConfig{
		name: "speech", command: command, scratch: cfg.Scratch, limits: speechLimits, lease: newLease(cfg.Planner, hwplan.Transcription, ""), log: cfg.log(),
		env: func(p hwplan.Placement) []string {
			return slices.Concat(threadsOnly(p), cudaLibraries(cfg.python(speechProfiles...), p), s.npu.environment(p))
		},
		load: func(p hwplan.Placement, h hello) any {
			if request := s.npu.load(p, h, s.model()); request != nil {
				return request
			}
			device, compute := "cpu", "int8"
			if p.Device == hwplan.OnGPU {
				device, compute = "cuda", "int8_float16"
			}
			return map[string]any{
				"model": cfg.model(), "device": device, "compute": cmp.Or(p.ComputeType, compute), "threads": threads(p),
			}
		},
		fellBack: s.npu.failed,
	})
	return s
}

// shortCodes are Tesseract's languages as Whisper knows them.
func shortCodes(languages string) []string {
	var out []string
	for code, long := range codes {
		if slices.Contains(strings.Split(languages, "+"), long) {
			out = append(out, code)
		}
	}
	return out
}

// cudaLibraries tell the loader where the wheels of NVIDIA put what CTranslate2 opens: it looks there only when
// that is said before the process starts.
func cudaLibraries(python string, p hwplan.Placement) []string {
	if p.Device != hwplan.OnGPU {
		return nil
	}
	if found, err := exec.LookPath(python); err == nil {
		python = found
	}
	python, err := filepath.Abs(python) // the worker is started in a directory of its own
	if err != nil {
		return nil
	}
	env := filepath.Dir(filepath.Dir(python))
	variable, before := "LD_LIBRARY_PATH", ""
	pattern := filepath.Join(env, "lib", "python3*", "site-packages", "nvidia", "*", "lib")
	if runtime.GOOS == "windows" {
		variable, before = "PATH", string(filepath.ListSeparator)+os.Getenv("PATH")
		pattern = filepath.Join(env, "Lib", "site-packages", "nvidia", "*", "bin")
	}
	found, _ := filepath.Glob(pattern)
	if len(found) == 0 {
		return nil
	}
	return []string{variable + "=" + strings.Join(found, string(filepath.ListSeparator)) + before}
}

// Close ends the recording in hand and the worker.
func (s *Speech) Close() { s.worker.close() }

// Transcribe hears the recording at path from fromS on, in seconds. After each
// window report is told what was heard since fromS, up to which second, and how long
// the recording is: who keeps that can go on from there after a crash. It may be nil.
//
// A part over which the worker dies, or fails, twice is left out and named in Unread, as is what
// is broken in the file. When its memory is wanted the worker ends at a window's end, and
// Transcribe goes on when it has the memory again. Errors are as those of [OCR.Recognize].
func (s *Speech) Transcribe(
	ctx context.Context, path string, fromS float64, report func(done parse.Transcript, doneS, totalS float64),
) (parse.Transcript, error) {
	if s.model() == "" && s.npu.model() == "" {
		return parse.Transcript{}, fmt.Errorf("%w: %s", ErrMissing, missingWhisper)
	}
	path, err := filepath.Abs(path) // the worker lives in a directory of its own
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return parse.Transcript{}, err
	}
	h := &hearing{speech: s, report: report, fromS: fromS, doneS: fromS}
	for {
		again, err := h.attempt(ctx, path)
		if !again || err != nil {
			return h.done, err
		}
	}
}

// A hearing is one recording being heard.
type hearing struct {
	speech *Speech
	report func(parse.Transcript, float64, float64)
	fromS  float64

	done    parse.Transcript // what is finished
	doneS   float64          // up to here
	pending []parse.Segment  // of the window in hand, dropped when that is not finished
	made    [][2]float64     // in it: parts of which the model made up a text
	window  *windowEvent     // in hand; nil before the first one of an attempt
	died    *float64         // the start of what the worker died over last
}

// The events of the worker, and its answer.
type (
	windowEvent struct {
		StartS float64 `json:"s"`
		EndS   float64 `json:"e"`
		TotalS float64 `json:"total_s"`
	}
	segmentEvent struct {
		StartS      float64 `json:"s"`
		EndS        float64 `json:"e"`
		Text        string  `json:"text"`
		Probability float64 `json:"p"`
		Language    string  `json:"language"`
		Why         string  `json:"why"` // it was dropped
	}
	doneEvent struct {
		EndS   float64      `json:"e"`
		TotalS float64      `json:"total_s"`
		Unread [][2]float64 `json:"unread"`
	}
	heard struct {
		Language  string       `json:"language"`
		DurationS float64      `json:"duration_s"`
		Unread    [][2]float64 `json:"unread"`
	}
)

// attempt hears on from what is done, and says whether to do so again.
func (h *hearing) attempt(ctx context.Context, path string) (again bool, err error) {
	h.pending, h.made, h.window = nil, nil, nil
	params := map[string]any{"path": path, "start_s": h.doneS, "window_s": h.speech.windowS, "hint": h.done.Language, "expected": h.speech.expected}
	ok, engine, err := h.speech.worker.do(ctx, job{call: call{method: "transcribe", params: params, limit: windowLimit, event: h.event}})
	if err == nil {
		h.done.Engine = engine.name()
		return false, h.finish(ok)
	}
	if errors.Is(err, errYield) {
		return true, nil
	}
	var late *parse.Error
	if anotherMay(err) || errors.As(err, &late) && late.Code == parse.Timeout {
		return h.leaveOut(err)
	}
	return false, outcome(err)
}

// leaveOut gives a part a second worker, and after that goes on behind it, unless the engine is at fault.
func (h *hearing) leaveOut(err error) (again bool, _ error) {
	start := h.doneS
	if h.died == nil || *h.died != start {
		h.died = &start
		return true, nil
	}
	if fault := outcome(err); errors.Is(fault, ErrUnavailable) || h.window == nil || h.window.EndS <= start {
		return false, fault
	}
	h.unread([][2]float64{{start, h.window.EndS}})
	h.doneS = h.window.EndS
	h.tell(h.window.TotalS)
	return true, nil
}

// event takes in what the worker says in between.
func (h *hearing) event(kind string, value json.RawMessage) error {
	switch kind {
	case eventWindow:
		h.done.Engine = h.speech.worker.loaded.name()
		return h.open(value)
	case eventSegment:
		var e segmentEvent
		if err := valid(value, &e); err != nil {
			return err
		}
		if h.window == nil || e.StartS < h.window.StartS-slackS || max(e.StartS, e.EndS) > h.window.EndS+slackS {
			return &diedError{why: "it hears what is outside of its window"}
		}
		h.pending = append(h.pending, parse.Segment{
			StartS: e.StartS, EndS: max(e.StartS, e.EndS), Text: e.Text, Confidence: within(e.Probability), Language: e.Language,
		})
	case eventDropped:
		var e segmentEvent
		if err := valid(value, &e); err != nil {
			return err
		}
		if h.window != nil && e.StartS < e.EndS {
			h.made = append(h.made, [2]float64{max(e.StartS, h.window.StartS), min(e.EndS, h.window.EndS)})
		}
		h.speech.worker.cfg.log.Info("invented text was dropped", "start_s", e.StartS, "end_s", e.EndS, "why", e.Why)
	case eventFallback:
		return h.fallBack(value)
	case eventDone:
		return h.finishWindow(value)
	}
	return nil
}

// slackS is how many seconds a time may be off by rounding; longestS no recording is.
const (
	slackS   = 0.01
	longestS = 1e6
)

// open takes in where a window begins and ends.
func (h *hearing) open(value json.RawMessage) error {
	var e windowEvent
	if err := valid(value, &e); err != nil {
		return err
	}
	if e.StartS < h.doneS-slackS || e.EndS < e.StartS || e.EndS > longestS || e.TotalS > longestS {
		return &diedError{why: fmt.Sprintf("a window from %g s to %g s cannot be", e.StartS, e.EndS)}
	}
	h.window = &e
	return nil
}

// fallBack takes in that the worker computes on another device now.
func (h *hearing) fallBack(value json.RawMessage) error {
	var now loaded
	if err := valid(value, &now); err != nil {
		return err
	}
	w := h.speech.worker
	w.loaded.Device = now.Device
	w.noteFallback(now)
	h.done.Engine = w.loaded.name()
	return nil
}

func (h *hearing) finishWindow(value json.RawMessage) error {
	var e doneEvent
	if err := valid(value, &e); err != nil {
		return err
	}
	if e.EndS < h.doneS || h.window == nil || e.EndS > h.window.EndS+slackS {
		return &diedError{why: "its time runs backwards, or ahead"}
	}
	h.done.Segments = append(h.done.Segments, h.pending...)
	h.done.Dropped = joined(append(h.done.Dropped, h.made...))
	h.pending, h.made, h.doneS = nil, nil, e.EndS
	h.unread(e.Unread)
	h.done.Language = mainLanguage(h.done.Segments)
	h.tell(e.TotalS)
	if h.speech.worker.asked() && e.TotalS-e.EndS > 1 {
		return errYield
	}
	return nil
}

func (h *hearing) tell(totalS float64) {
	h.done.DurationS = totalS
	if h.report == nil {
		return
	}
	done := h.done
	done.Segments, done.Unread = slices.Clone(done.Segments), slices.Clone(done.Unread)
	done.Dropped = slices.Clone(done.Dropped)
	h.report(done, h.doneS, totalS)
}

func (h *hearing) finish(ok json.RawMessage) error {
	var answer heard
	if err := valid(ok, &answer); err != nil {
		return outcome(err)
	}
	h.done.DurationS = answer.DurationS
	h.unread(answer.Unread)
	return nil
}

// unread adds what is broken in the file after fromS: who called knows of the rest.
func (h *hearing) unread(spans [][2]float64) {
	all := slices.Clone(h.done.Unread)
	for _, span := range spans {
		if span[0] = max(span[0], h.fromS); span[0] < span[1] {
			all = append(all, span)
		}
	}
	h.done.Unread = joined(all)
}

// joined sorts spans by time, and makes one of those that touch. A broken file may have very many.
func joined(spans [][2]float64) [][2]float64 {
	slices.SortFunc(spans, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	var out [][2]float64
	for _, s := range spans {
		if n := len(out); n > 0 && s[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], s[1])
			continue
		}
		out = append(out, s)
	}
	return out
}

// mainLanguage is the one that is spoken longest.
func mainLanguage(segments []parse.Segment) string {
	spoken, longest := map[string]float64{}, ""
	for _, s := range segments {
		if s.Language == "" {
			continue
		}
		if spoken[s.Language] += s.EndS - s.StartS; longest == "" || spoken[s.Language] > spoken[longest] {
			longest = s.Language
		}
	}
	return longest
}

// valid reads a value that a worker sent. What is not valid ends it.
func valid(value json.RawMessage, into any) error {
	if err := json.Unmarshal(value, into); err != nil {
		return &diedError{why: "what it says is not valid: " + err.Error()}
	}
	return nil
}
