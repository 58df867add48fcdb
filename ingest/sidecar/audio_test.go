package sidecar

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A recording is a line of the manifest of the shared recordings.
type recording struct {
	File       string   `json:"file"`
	DurationS  *float64 `json:"duration_s"`
	Expect     string   `json:"expect"`
	Code       string   `json:"code"`
	Transcript *string  `json:"transcript"`
	Basis      string   `json:"transcript_basis"`
	Note       string   `json:"note"`
}

func recordings(t *testing.T) []recording {
	t.Helper()
	f, err := os.Open(sharedFile(t, "audio/manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []recording
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r recording
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// bare is the model with nothing of ours around it, with its own voice detector: a file, a line.
const bare = `
import json, sys
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", local_files_only=True)
for path in sys.argv[2:]:
    try:
        segments, _ = model.transcribe(path, vad_filter=True)
        print(json.dumps(" ".join(s.text.strip() for s in segments)), flush=True)
    except Exception:
        print(json.dumps(""), flush=True)
`

func bareTranscripts(t *testing.T, files []string) []string {
	t.Helper()
	out, err := exec.Command(testPython(t), append([]string{"-c", bare, testModel(t)}, files...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for line := range strings.Lines(string(out)) {
		var text string
		if err := json.Unmarshal([]byte(line), &text); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

func said(heard parse.Transcript) string {
	var texts []string
	for _, s := range heard.Segments {
		texts = append(texts, s.Text)
	}
	return strings.Join(texts, " ")
}

// words are a text's, as word error rates count them: lower case letters and digits.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// partial are recordings whose transcript in the manifest is not all that is said in them, or is said by two at once.
var partial = []string{"multilingual.mp3", "stereo_diarization.wav"}

func (r recording) scored() bool {
	return r.Expect != "failed" && r.Transcript != nil && *r.Transcript != "" && !slices.Contains(partial, r.File)
}

func TestRecordings(t *testing.T) {
	s := newTestSpeech(t)
	all := recordings(t)
	var files []string
	for _, r := range all {
		if r.scored() {
			files = append(files, sharedFile(t, "audio/"+r.File))
		}
	}
	plain := map[string]string{}
	for i, text := range bareTranscripts(t, files) {
		plain[files[i]] = text
	}
	var ours, theirs, scored float64
	for _, r := range all {
		file, start := sharedFile(t, "audio/"+r.File), time.Now()
		heard, err := s.Transcribe(t.Context(), file, 0, nil)
		took := time.Since(start).Seconds()
		if r.Expect == "failed" {
			if err == nil {
				t.Errorf("%s: heard %+v", r.File, heard)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", r.File, err)
			continue
		}
		checkTranscript(t, r.File, heard)
		if r.Transcript != nil && *r.Transcript == "" {
			if text := said(heard); text != "" {
				t.Errorf("%s: invented %q", r.File, text)
			}
			continue
		}
		if !r.scored() {
			t.Logf("%-32s not scored, %.1f s: %.120s", r.File, took, said(heard))
			continue
		}
		a, b := errorRate(words(*r.Transcript), words(said(heard))), errorRate(words(*r.Transcript), words(plain[file]))
		t.Logf("%-32s WER %5.1f %%, bare %5.1f %%, %4.1f s, unread %v", r.File, 100*a, 100*b, took, heard.Unread)
		if a > b+0.02 {
			t.Errorf("%s: WER %.1f %% is more than 2 points over the bare model's %.1f %%: %s", r.File, 100*a, 100*b, said(heard))
		}
		ours, theirs, scored = ours+a, theirs+b, scored+1
	}
	t.Logf("mean WER of %g recordings: %.1f %%, bare %.1f %%", scored, 100*ours/scored, 100*theirs/scored)
}

func checkTranscript(t *testing.T, file string, heard parse.Transcript) {
	t.Helper()
	last := 0.0
	for _, s := range heard.Segments {
		if s.StartS < last || s.EndS < s.StartS || s.EndS > heard.DurationS+0.1 || !(s.Confidence > 0 && s.Confidence <= 1) || len(s.Language) != 2 {
			t.Errorf("%s: segment %+v after %g s of %g", file, s, last, heard.DurationS)
		}
		last = s.StartS
	}
}

func newTestSpeech(t testing.TB) *Speech {
	t.Helper()
	s := NewSpeech(Config{Python: testPython(t), Cache: t.TempDir(), Model: always(testModel(t))})
	t.Cleanup(s.Close)
	return s
}

// What was cut off or broken is named by its seconds; the rest is heard.
func TestDamagedRecordings(t *testing.T) {
	s := newTestSpeech(t)
	whole, err := os.ReadFile(sharedFile(t, "audio/sample_10s.mp3"))
	if err != nil {
		t.Fatal(err)
	}
	wav, err := os.ReadFile(sharedFile(t, "audio/leopard_test_es.wav"))
	if err != nil {
		t.Fatal(err)
	}
	flac, err := os.ReadFile(sharedFile(t, "audio/sample_10s_audio-flac.flac"))
	if err != nil {
		t.Fatal(err)
	}
	hole := append([]byte(nil), flac...)
	for i := len(hole) * 6 / 10; i < len(hole)*7/10; i++ {
		hole[i] = 0
	}
	for _, tt := range []struct {
		name       string
		data       []byte
		from, to   float64 // unread
		wantsWords string
	}{
		{"cut.mp3", whole[:len(whole)*2/5], 4, 10, "Shakespeare"},
		{"cut.wav", wav[:len(wav)/2], 4.3, 8.66, "arenas"},
		{"cut.flac", flac[:len(flac)/2], 5, 10, "Shakespeare"},
		{"hole.flac", hole, 6, 7, "Shakespeare"},
	} {
		path := filepath.Join(t.TempDir(), tt.name)
		if err := os.WriteFile(path, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		heard, err := s.Transcribe(t.Context(), path, 0, nil)
		t.Logf("%s: %.2f s, unread %v: %s", tt.name, heard.DurationS, heard.Unread, said(heard))
		if err != nil || !strings.Contains(said(heard), tt.wantsWords) || len(heard.Unread) != 1 {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if u := heard.Unread[0]; u[0] < tt.from-1 || u[0] > tt.from+1 || u[1] < tt.to-1 || u[1] > tt.to+1 {
			t.Errorf("%s: unread %v, want about %g to %g", tt.name, u, tt.from, tt.to)
		}
	}
}

// Sentences with 20 seconds of silence between them keep their places.
func TestPlacesOfSentences(t *testing.T) {
	heard, err := newTestSpeech(t).Transcribe(t.Context(), sharedFile(t, "audio/voz-es-pausas-20s.mp3"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]float64{{2, 5.6}, {25.6, 29.4}, {49.4, 52.8}, {72.8, 75.5}, {95.5, 98.8}, {118.8, 122.7}}
	if len(heard.Segments) != len(want) {
		t.Fatalf("%d segments: %+v", len(heard.Segments), heard.Segments)
	}
	for i, s := range heard.Segments {
		if s.StartS < want[i][0]-1 || s.StartS > want[i][0]+1 || s.EndS < want[i][1]-1 || s.EndS > want[i][1]+1 {
			t.Errorf("segment %+v, want it at %v", s, want[i])
		}
	}
}

// silence is run by Python: a film of two seconds that claims days between them.
const silence = `
import sys
sys.path.insert(0, sys.argv[1])
import av, numpy
from recording import Recording
with av.open(sys.argv[2], "w", format="matroska") as out:
    stream = out.add_stream("pcm_s16le", rate=16000)
    stream.layout = "mono"
    for at in 0, 1000000:  # seconds: eleven days
        frame = av.AudioFrame.from_ndarray(numpy.zeros((1, 16000), numpy.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, at * 16000
        for packet in stream.encode(frame):
            out.mux(packet)
    for packet in stream.encode(None):
        out.mux(packet)
recording = Recording(sys.argv[2])
heard = 0
for samples in recording.samples():
    heard += len(samples)
    assert heard < 60 * 16000, "it makes silence of a claim"
assert recording.lost() == [] and recording.duration == 2.0, recording.duration
`

func TestClaimedSilence(t *testing.T) {
	python := testPython(t)
	dir, err := unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "-B", "-c", silence, dir, filepath.Join(t.TempDir(), "film.mkv")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// A recording that goes from one language to another: each segment has its own. (The model is asked every half minute.)
func TestLanguageOfSegments(t *testing.T) {
	s := newTestSpeech(t)
	heard, err := s.Transcribe(t.Context(), sharedFile(t, "audio/multilingual.mp3"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	spoken := map[string]int{}
	for _, segment := range heard.Segments {
		spoken[segment.Language]++
		if segment.EndS < 28 && segment.Language != "en" || segment.StartS > 31 && segment.Language != "de" {
			t.Errorf("%g to %g s is in %q: %s", segment.StartS, segment.EndS, segment.Language, segment.Text)
		}
	}
	if t.Logf("segments: %v, the recording: %s", spoken, heard.Language); spoken["en"] == 0 || spoken["de"] == 0 {
		t.Error("one of the languages is not heard")
	}
}

// noLibraries is run by Python: faster-whisper on a card whose libraries are not there, which shows when it first computes.
const noLibraries = `
import sys
sys.path.insert(0, sys.argv[1])
import faster_whisper, speech
init, encode = faster_whisper.WhisperModel.__init__, faster_whisper.WhisperModel.encode
def open_it(self, path, device, compute_type, **options):
    self.device = device
    init(self, path, device="cpu", compute_type="int8", **options)
def compute(self, features):
    if self.device == "cuda":
        raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")
    return encode(self, features)
faster_whisper.WhisperModel.__init__, faster_whisper.WhisperModel.encode = open_it, compute
class Call:
    params = {"model": sys.argv[2], "device": "cuda", "compute": "int8_float16", "threads": 1}
told = speech.Whisper().load(Call)
assert told["device"] == "cpu" and told["fallback_from"] == "cuda" and "libcublas" in told["reason"], told
`

// A card that cannot be computed on is found out when the model is loaded, not by the recordings, one after the other.
func TestCardWithoutLibraries(t *testing.T) {
	python, model := testPython(t), testModel(t)
	dir, err := unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "-I", "-B", "-c", noLibraries, dir, model).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
