package sidecar

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// A tier is one kind of worker that must keep the protocol.
type tier struct {
	name  string
	limit limits
	// command starts the worker of that name, or skips the test with the reason.
	command func(t *testing.T, worker string) func() ([]string, error)
	real    bool
}

func tiers() []tier {
	real := ocrLimits
	real.ping = 100 * time.Millisecond
	script := quick
	script.hello, script.stall, script.cancel = 20*time.Second, 10*time.Second, 5*time.Second // an interpreter starts slowly
	return []tier{
		{name: "fake", limit: script, command: func(_ *testing.T, worker string) func() ([]string, error) {
			return fakeCommand(worker, "good")
		}},
		{name: "script", limit: script, command: func(t *testing.T, worker string) func() ([]string, error) {
			python, err := exec.LookPath("python3")
			if err != nil {
				t.Skip("no python3")
			}
			return withArguments(Config{Python: python, Cache: t.TempDir()}.script(worker+".py", ""), "--engine", "fake")
		}},
		{name: "engine", limit: real, real: true, command: func(t *testing.T, worker string) func() ([]string, error) {
			return Config{Python: testPython(t), Cache: t.TempDir()}.script(worker+".py", "")
		}},
	}
}

func withArguments(command func() ([]string, error), more ...string) func() ([]string, error) {
	return func() ([]string, error) {
		args, err := command()
		return append(args, more...), err
	}
}

func testPython(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("real engines are slow")
	}
	python := os.Getenv("ACERVO_TEST_PYTHON")
	if python == "" {
		t.Skip("ACERVO_TEST_PYTHON names no Python with the engines")
	}
	return python
}

func always(dir string) func() string { return func() string { return dir } }

func testModel(t testing.TB) string {
	t.Helper()
	model := os.Getenv("ACERVO_TEST_WHISPER_MODEL")
	if model == "" {
		t.Skip("ACERVO_TEST_WHISPER_MODEL names no model")
	}
	return model
}

// tone is a WAV of 16 kHz, mono, 16 bits, without a word in it.
func tone(t *testing.T, seconds float64) string {
	t.Helper()
	n := int(seconds * 16000)
	var out bytes.Buffer
	out.WriteString("RIFF")
	_ = binary.Write(&out, binary.LittleEndian, uint32(36+2*n))
	out.WriteString("WAVEfmt ")
	_ = binary.Write(&out, binary.LittleEndian, []uint32{16, 1 | 1<<16, 16000, 32000, 2 | 16<<16})
	out.WriteString("data")
	_ = binary.Write(&out, binary.LittleEndian, uint32(2*n))
	for i := range n {
		_ = binary.Write(&out, binary.LittleEndian, int16(2000*((i/40)%2)-1000))
	}
	path := filepath.Join(t.TempDir(), "tone.wav")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConformance(t *testing.T) {
	for _, tier := range tiers() {
		for _, name := range []string{"ocr", "speech", "photo"} {
			t.Run(tier.name+"/"+name, func(t *testing.T) { conform(t, tier, name) })
		}
	}
}

// conform is what every worker of the protocol must do.
func conform(t *testing.T, tier tier, name string) {
	command := tier.command(t, name)
	load, method, input := map[string]any{}, "ocr", filepath.Join(t.TempDir(), "page.png")
	switch name {
	case "speech":
		method, input = "transcribe", tone(t, 30)
		if tier.real {
			load["model"] = testModel(t)
		}
	case "photo":
		method = "decode"
		if tier.real {
			input = notice(t)
		} else if err := os.WriteFile(input, []byte(fakePhoto), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		if err := os.WriteFile(input, picture(t, 300, 200), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("this is neither a page nor a recording"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "made")
	c := conformingChild(t, tier, name, command)
	serve := func(ctx context.Context, method string, params map[string]any) ([]byte, []string, error) {
		var kinds []string
		ok, err := c.serve(ctx, call{method: method, params: params, limit: 5 * time.Minute, event: func(kind string, _ json.RawMessage) error {
			kinds = append(kinds, kind)
			return nil
		}})
		return ok, kinds, err
	}
	if _, _, err := serve(t.Context(), "load", load); err != nil {
		t.Fatalf("load: %v", err)
	}
	refused := func(code string, err error) {
		t.Helper()
		var r *refusal
		if !errors.As(err, &r) || r.Code != code {
			t.Errorf("error %v, want %s", err, code)
		}
	}
	_, _, err := serve(t.Context(), method, map[string]any{"path": bad, "pixels": maxPhoto, "to": made})
	refused("bad_input", err)
	_, _, err = serve(t.Context(), "make coffee", nil)
	refused("unsupported", err)
	_, kinds, err := serve(t.Context(), method, map[string]any{"path": input, "window_s": 20, "start_s": 5, "pixels": maxPhoto, "to": made})
	if err != nil {
		t.Fatal(err)
	}
	if name == "speech" && (count(kinds, eventWindow) != 2 || count(kinds, eventDone) != 2) {
		t.Errorf("events %v: 25 s are two windows of 20 s", kinds)
	}
	if raw, _ := os.ReadFile(made); name == "photo" && !bytes.HasPrefix(raw, []byte("\xFF\xD8\xFF")) {
		t.Errorf("it made %.20q of the photo", raw)
	}
	if !tier.real {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, _, err = serve(ctx, method, map[string]any{"path": input, "pace_s": 30})
		refused("cancelled", err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled: %v", err)
		}
	}
	// All of that was one process.
	if _, _, err := serve(t.Context(), method, map[string]any{"path": input, "pixels": maxPhoto, "to": made}); err != nil {
		t.Errorf("at the end: %v", err)
	}
	c.stop()
	if code := c.process.State().ExitCode(); code != 0 {
		t.Errorf("after bye: %s", c.process.State())
	}
	orphan(t, conformingChild(t, tier, name, command))
}

func conformingChild(t *testing.T, tier tier, name string, command func() ([]string, error)) *child {
	t.Helper()
	args, err := command()
	if err != nil {
		t.Fatal(err)
	}
	c, err := startChild(t.Context(), subprocess.Config{Command: args, Name: name, Offline: true}, tier.limit)
	if err != nil {
		lacksDecoder(t, err)
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	if !slices.Contains(c.hello.Caps.Devices, "cpu") {
		t.Errorf("hello %+v", c.hello)
	}
	return c
}

// orphan is a child whose parent is no more: its input ends without a bye.
func orphan(t *testing.T, c *child) {
	t.Helper()
	if err := writeRequest(c.process.Stdin, request{Type: "ping", N: 1}); err != nil {
		t.Fatal(err)
	}
	if m := <-c.messages; m.Type != "pong" {
		t.Errorf("a ping was answered with %q", m.Type)
	}
	c.process.Stdin.Close()
	select {
	case <-c.done:
	case <-time.After(5 * time.Second):
		t.Error("it lives on when its input has ended")
	}
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

// The scripts are written once, and again when somebody changed them.
func TestUnpack(t *testing.T) {
	cache := t.TempDir()
	dir, err := unpack(cache)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "ocr.py")
	want, _ := os.ReadFile(script)
	if err := os.WriteFile(script, []byte("import evil"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := unpack(cache); err != nil || again != dir {
		t.Fatalf("%s, %v", again, err)
	}
	if got, _ := os.ReadFile(script); !bytes.Equal(got, want) || len(got) == 0 {
		t.Errorf("it is not mended: %.40q", got)
	}
	entries, _ := os.ReadDir(dir)
	if embedded, _ := sources.ReadDir("python"); len(entries) == 0 || len(entries) != len(embedded) {
		t.Errorf("%d files of %d", len(entries), len(embedded))
	}
}

func speechWorker(t *testing.T, bounds limits, planner func(context.Context) (*hwplan.Planner, error), behaviour string) *Speech {
	t.Helper()
	s := newSpeech(Config{Model: always("a model"), Planner: planner}, fakeCommand("speech", behaviour, t.TempDir()))
	s.worker.cfg.limits, s.windowS = bounds, 10
	t.Cleanup(s.Close)
	return s
}

// guards is run by Python: what speech.py decides without any library.
const guards = `
import sys
sys.path.insert(0, sys.argv[1])
import speech
from recording import mp3_counted, wav_length
from speech import Ear, invented, spans
says = lambda text, no_speech=0.1, log=-0.2, ratio=1.2, before=(): invented(text, no_speech, log, ratio, list(before))
assert says("El tren llegó a Zafra.") == ""
assert says("Gracias por ver el vídeo.") == "", "people say so, too"
assert says("¡Suscríbete al canal!", no_speech=0.55, log=-0.7) == "phrase"
assert says("Thanks for watching!", no_speech=0.55, log=-0.7) == "phrase"
assert says("The meeting is over.", no_speech=0.55, log=-0.7) == ""
assert says("mm mm", no_speech=0.7, log=-1.2) == "silence"
assert says("mm mm", no_speech=0.7) == "" and says("mm mm", log=-1.2) == ""
assert says("la la la la la la", ratio=2.6) == "loop"
assert says("La la la la la.", ratio=2.6, before=["other"]) == "loop" and says("Jajajajajajaja", ratio=9) == "loop"
assert says("A long way.", before=["a long way", "other"], ratio=2.6) == "loop"
message = "El tren a Zafra sale de la via dos. "
assert says(message * 3, ratio=2.9) == "", "it is played three times"
assert says(message * 5, ratio=2.9) == "loop"
assert says("A long way.", before=["a long way"] * 3) == "loop"
assert says("A long way.", before=["a long way"] * 2) == ""

class Word:
    def __init__(self, start, end, word):
        self.start, self.end, self.word = start, end, word
class Segment:
    start, end, text = 0, 30, " uno dos. tres"
    words = [Word(1, 2, " uno"), Word(2.1, 3, " dos."), Word(25, 26, " tres")]
assert spans(Segment) == [(1.0, 3.0, "uno dos."), (25.0, 26.0, "tres")]
Segment.words = None
assert spans(Segment) == [(0, 30, "uno dos. tres")]

class Model:
    def detect_language(self, results):
        return [results]
    def generate(self, what):
        return what
ear = Ear(Model())
ear.expected = ["es", "en"]
hears = lambda *results: ear.detect_language([("<|%s|>" % l, p) for l, p in results])[0][0][0]
assert hears(("el", 0.4), ("es", 0.2), ("en", 0.1)) == "<|es|>", "it is not sure"
assert hears(("en", 0.6), ("es", 0.3)) == "<|es|>", "nor sure enough to change"
assert hears(("de", 0.9), ("es", 0.1)) == "<|de|>" and ear.language == "de"
heeded = []
assert ear.generate("words") == "words"
ear.heed = lambda: heeded.append(1)
assert ear.generate("words") == "words" and heeded == [1], "it heeds no cancel in music"

def file(data):
    with open(sys.argv[2], "wb") as f:
        f.write(data)
    return sys.argv[2]
riff = lambda size: b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + b"\0" * 16 + b"data" + size.to_bytes(4, "little") + b"\0" * 100
assert wav_length(file(riff(320000)), 256000) == 10
assert wav_length(file(riff(0xFFFFFFFF)), 256000) == 0, "a stream does not say how long it is"
assert wav_length(file(b"data"), 256000) == 0
assert mp3_counted(file(b"ID3\4\0\0\0\0\1\0" + b"\0" * 128 + b"\xff\xfb" + b"\0" * 34 + b"Xing"))
assert not mp3_counted(file(b"\xff\xfb" + b"\0" * 500))

class Sound: # of a file that does not say how long it is
    def __init__(self, path):
        self.duration, self.clock = 0.0, 0.0
    def lost(self):
        return []
class Cuts:
    def __init__(self, call, recording, *rest):
        self._recording = recording
    def __iter__(self):
        for start, end, self._recording.clock in ((0, 8, 10.0), (8, 16, 20.0), (16, 20, 20.0)):
            yield start, [0] * (end - start) * speech.RATE
class Silent(speech.Hearing):
    def _begin(self, params, heed):
        pass
    def _speech(self, audio, **options):
        return []
class Call:
    params, told = {"path": ""}, []
    def check(self):
        pass
    def event(self, kind, value):
        self.told.append((kind, value["e"], value["total_s"]))
speech.Recording, speech.Windows = Sound, Cuts
Silent().transcribe(Call())
assert [x[1:] for x in Call.told if x[0] == "done"] == [(8, 10), (16, 20), (20, 20)], "it does not tell that more comes: %s" % Call.told
`

func TestGuards(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	dir, err := unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "-I", "-B", "-c", guards, dir, filepath.Join(t.TempDir(), "file")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
