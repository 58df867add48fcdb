package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/sidecar"
)

// setupPlace is a machine for set-up: an Ollama without models that can fetch them, and a model hub.
type setupPlace struct {
	t      *testing.T
	data   string
	ollama *httptest.Server
	hub    *httptest.Server
	pulled []string
	served int // files of the hub
}

func newSetupPlace(t *testing.T) *setupPlace {
	t.Helper()
	p := &setupPlace{t: t, data: filepath.Join(t.TempDir(), "data")}
	p.ollama = httptest.NewServer(http.HandlerFunc(p.serveOllama))
	p.hub = httptest.NewServer(http.HandlerFunc(p.serveHub))
	t.Cleanup(p.ollama.Close)
	t.Cleanup(p.hub.Close)
	t.Setenv("HF_ENDPOINT", p.hub.URL)
	return p
}

func (p *setupPlace) serveOllama(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Model string `json:"model"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch r.URL.Path {
	case "/api/version":
		_, _ = io.WriteString(w, `{"version":"0.30.0"}`)
	case "/api/show":
		if !slices.Contains(p.pulled, body.Model) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"error":"model '%s' not found"}`, body.Model)
			return
		}
		_, _ = io.WriteString(w, `{"model_info":{}}`)
	case "/api/ps":
		_, _ = io.WriteString(w, `{"models":[]}`)
	case "/api/pull":
		if body.Model == "nosuch" {
			_, _ = io.WriteString(w, `{"status":"pulling manifest"}`+"\n"+`{"error":"pull model manifest: file does not exist"}`+"\n")
			return
		}
		p.pulled = append(p.pulled, body.Model)
		for _, line := range []string{
			`{"status":"pulling manifest"}`, `{"status":"pulling a","digest":"sha256:a","total":100}`, `{"status":"pulling a","digest":"sha256:a","total":100,"completed":60}`,
			`{"status":"pulling b","digest":"sha256:b","total":20,"completed":20}`, `{"status":"pulling a","digest":"sha256:a","total":100,"completed":100}`, `{"status":"success"}`,
		} {
			fmt.Fprintln(w, line)
		}
	default:
		http.NotFound(w, r)
	}
}

func (p *setupPlace) serveHub(w http.ResponseWriter, r *http.Request) {
	m, _ := sidecar.Whisper("tiny")
	if r.URL.Path == "/api/models/"+m.Repo+"/tree/"+m.Revision {
		var entries []string
		for _, name := range m.Needs {
			sum := sha256.Sum256([]byte("content of " + name))
			entries = append(entries, fmt.Sprintf(`{"type":"file","path":%q,"size":%d,"oid":"00","lfs":{"oid":"%x"}}`, name, len("content of "+name), sum))
		}
		fmt.Fprintf(w, "[%s]", strings.Join(entries, ","))
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/"+m.Repo+"/resolve/"+m.Revision+"/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	p.served++
	_, _ = io.WriteString(w, "content of "+name)
}

// setup runs the command, as in a script: nobody can be asked.
func (p *setupPlace) setup(args ...string) (code int, out, stderr string) {
	p.t.Helper()
	args = append([]string{
		"setup", "--data", p.data, "--docs", filepath.Join(p.t.TempDir(), "docs"), "--set", "llm.url=" + p.ollama.URL, "--set", "embedder.url=" + p.ollama.URL,
		"--set", "speech.model=tiny",
	}, args...)
	var stdout, errors bytes.Buffer
	code = run(p.t.Context(), args, strings.NewReader("y\n"), &stdout, &errors)
	return code, stdout.String(), errors.String()
}

// states are those of the steps in what set-up printed as JSON, by name.
func states(t *testing.T, out string) map[string]string {
	t.Helper()
	var printed struct{ Steps []step }
	if err := json.Unmarshal([]byte(out), &printed); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	states := map[string]string{}
	for _, s := range printed.Steps {
		states[s.Name] = s.State
	}
	return states
}

func (p *setupPlace) wantUntouched() {
	p.t.Helper()
	if len(p.pulled) > 0 || p.served > 0 {
		p.t.Errorf("%v were pulled, %d files served", p.pulled, p.served)
	}
	if left, _ := filepath.Glob(filepath.Join(p.data, "*s")); len(left) > 0 { // envs, models
		p.t.Errorf("there is %v", left)
	}
}

func TestSetupWantsConsent(t *testing.T) {
	p := newSetupPlace(t)
	code, out, stderr := p.setup("models")
	if code != 1 || !strings.Contains(stderr, "--yes") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	for _, shown := range []string{"qwen2.5:7b", "4.7 GB", "Apache-2.0", "nomic-embed-text", "274 MB", "whisper-tiny", "Systran/faster-whisper-tiny", "MIT", "to do"} {
		if !strings.Contains(out, shown) {
			t.Errorf("%q is not shown in\n%s", shown, out)
		}
	}
	p.wantUntouched()
}

func TestSetupDryRun(t *testing.T) {
	p := newSetupPlace(t)
	code, out, stderr := p.setup("--dry-run", "--json", "--yes")
	if got := states(t, out); code != 0 || got["qwen2.5:7b"] != stateTodo || got["RapidOCR"] != stateTodo || got["whisper-tiny"] != stateTodo || len(got) != 5 {
		t.Errorf("exit code %d, %v, %q", code, got, stderr)
	}
	p.wantUntouched()
}

func TestSetupModels(t *testing.T) {
	p := newSetupPlace(t)
	code, out, stderr := p.setup("models", "--yes", "--json")
	got := states(t, out)
	if code != 0 || len(got) != 3 || got["qwen2.5:7b"] != stateDone || got["nomic-embed-text"] != stateDone || got["whisper-tiny"] != stateDone {
		t.Errorf("exit code %d, %v, %q", code, got, stderr)
	}
	if model, err := os.ReadFile(filepath.Join(p.data, "models", "whisper-tiny", "model.bin")); err != nil || string(model) != "content of model.bin" {
		t.Errorf("the model is %q, %v", model, err)
	}
	served := p.served
	code, out, stderr = p.setup("models") // consent is not asked for when nothing is to be done
	if code != 0 || strings.Count(out, stateThere+"\n") != 3 || p.served != served || len(p.pulled) != 2 {
		t.Errorf("again: exit code %d, %q, %q, %d served, %v pulled", code, out, stderr, p.served, p.pulled)
	}
}

func TestSetupGoesOnWithoutOllama(t *testing.T) {
	p := newSetupPlace(t)
	p.ollama.Close()
	t.Setenv("PATH", t.TempDir())
	code, out, stderr := p.setup("models", "--yes")
	if code != 1 || !strings.Contains(out, "Install it with `") || !strings.Contains(out, "whisper-tiny: done") || strings.Count(out, "cannot be reached") != 1 {
		t.Errorf("exit code %d, %q, %q", code, out, stderr)
	}
}

func TestSetupGoesOnAfterAFailure(t *testing.T) {
	p := newSetupPlace(t)
	code, out, stderr := p.setup("models", "--yes", "--set", "llm.model=nosuch")
	if code != 1 || !strings.Contains(out, "nosuch: Ollama at") || !strings.Contains(out, "file does not exist") || !strings.Contains(out, "whisper-tiny: done") {
		t.Errorf("exit code %d, %q, %q", code, out, stderr)
	}
}

func TestSetupSurya(t *testing.T) {
	p := newSetupPlace(t)
	code, _, stderr := p.setup("surya", "--yes")
	if code != 1 || !strings.Contains(stderr, "--accept-surya-license") || !strings.Contains(stderr, "5 million US dollars") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	p.wantUntouched()
	t.Setenv("PATH", t.TempDir())
	if _, out, _ := p.setup("surya", "--dry-run"); !strings.Contains(out, "llama-server: it is not installed") {
		t.Errorf("without llama.cpp: %q", out)
	}
	if code, out, _ := p.setup("surya", "--yes", "--accept-surya-license"); code != 1 || !strings.Contains(out, "has no datalab-to/surya-ocr-2-gguf") {
		t.Errorf("accepted, from a hub without it: exit code %d, %q", code, out)
	}
	if _, out, _ := p.setup("--dry-run"); strings.Contains(out, "surya") {
		t.Error("Surya is fetched without being asked for")
	}
}

func TestSetupLeavesWhatIsConfigured(t *testing.T) {
	p := newSetupPlace(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.bin"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want map[string]string
	}{
		{"a Python", []string{"--set", "workers.python=/opt/python"}, map[string]string{"RapidOCR": stateSkipped, "faster-whisper": stateSkipped, "whisper-tiny": stateTodo}},
		{"a model", []string{"--set", "speech.model=" + dir}, map[string]string{"faster-whisper": stateTodo, "Whisper model": stateThere}},
		{"no such model", []string{"--set", "speech.model=huge"}, map[string]string{"Whisper model": stateBlocked}},
		{"no speech", []string{"--set", "speech.engine=none"}, map[string]string{"faster-whisper": stateSkipped, "whisper-tiny": stateSkipped}},
		{"Tesseract", []string{"--set", "ocr.engine=tesseract"}, map[string]string{"RapidOCR": stateSkipped}},
		{"no models", []string{"--set", "llm.provider=none", "--set", "embedder.provider=openai"}, map[string]string{"qwen2.5:7b": "", "nomic-embed-text": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, out, _ := p.setup(append(tt.args, "--dry-run", "--json")...)
			got := states(t, out)
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
		})
	}
}

func TestSetupUsage(t *testing.T) {
	p := newSetupPlace(t)
	for _, args := range [][]string{{"everything"}, {"ocr", "speech"}, {"--force"}} {
		if code, _, stderr := p.setup(args...); code != 2 || !strings.Contains(stderr, "setup") {
			t.Errorf("%v: exit code %d, %q", args, code, stderr)
		}
	}
}

func TestSetupAsks(t *testing.T) {
	for answer, agreed := range map[string]bool{"y\n": true, "YES\n": true, "sí\n": true, "s": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		s := setup{in: bufio.NewReader(strings.NewReader(answer)), err: io.Discard}
		if err := s.ask("?"); (err == nil) != agreed || err != nil && !errors.Is(err, errDeclined) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestSetupIsAlone(t *testing.T) {
	p := newSetupPlace(t)
	if err := os.MkdirAll(p.data, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockSetup(p.data)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := p.setup("models", "--yes"); code != 1 || !strings.Contains(stderr, "another `acervo setup`") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	unlock()
	p.wantUntouched()
}

func TestSetupWakesTheServer(t *testing.T) {
	if n := wake(t.Context(), t.TempDir()); n != 0 {
		t.Errorf("%d documents of no server wait", n)
	}
	l := serveLibrary(t, emptyPlace(t), "llm.provider=none", "embedder.provider=none")
	recording := filepath.Join(t.TempDir(), "acta.wav")
	if err := os.WriteFile(recording, []byte("RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	docs, err := l.upload(t.Context(), "", []string{recording})
	if err != nil {
		t.Fatal(err)
	}
	before, err := l.settled(t.Context(), docs[0].ID, nil)
	if err != nil || before.Error == nil || before.Error.Code != "engine_missing" {
		t.Fatalf("%+v, %v", before, err)
	}
	if n := wake(t.Context(), l.data); n != 1 {
		t.Errorf("%d documents are read again, want 1", n)
	}
	if after, err := l.settled(t.Context(), docs[0].ID, nil); err != nil || !after.Updated.After(before.Updated) {
		t.Errorf("it was not read again: %+v, %v", after, err)
	}
}

// TestSetupSaysWhatDoesNotFit holds the warning to the plan of whatever machine this is.
func TestSetupSaysWhatDoesNotFit(t *testing.T) {
	p := newSetupPlace(t)
	const huge = "llm.model=llama3.3:70b-instruct-q2_K"
	_, out, stderr := p.setup("models", "--dry-run", "--set", huge)
	o := emptyPlace(t)
	o.set = []string{huge, "llm.url=" + p.ollama.URL, "embedder.url=" + p.ollama.URL}
	cfg, _, err := loadConfig(o)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := makePlan(t.Context(), cfg, hwplan.Description{})
	if err != nil {
		t.Fatal(err)
	}
	if warned := strings.Contains(out, "takes more memory than there is"); warned == plan.Fits {
		t.Errorf("warned %v, fits %v: %q, %q", warned, plan.Fits, out, stderr)
	}
}

func TestSetupPlansSpeech(t *testing.T) {
	onGPU := hwplan.Plan{Lent: map[hwplan.Role]hwplan.Placement{hwplan.Transcription: {Device: hwplan.OnGPU, Model: "large-v3-turbo"}}}
	onNPU := hwplan.Plan{Lent: map[hwplan.Role]hwplan.Placement{hwplan.Transcription: {Device: hwplan.OnNPU, Model: "small"}}}
	cuda, npu := sidecar.ProfileSpeechCUDA, sidecar.ProfileSpeechNPU
	if runtime.GOARCH != "amd64" || runtime.GOOS == "darwin" { // NVIDIA's and Intel's libraries come for no other
		cuda, npu = sidecar.ProfileSpeech, sidecar.ProfileSpeech
	}
	for _, tt := range []struct {
		name, model string
		plan        hwplan.Plan
		profile     sidecar.Profile
		size        string
	}{
		{"no plan", "auto", hwplan.Plan{}, sidecar.ProfileSpeech, "small"},
		{"on the GPU", "auto", onGPU, cuda, map[bool]string{true: "large-v3-turbo", false: "small"}[cuda == sidecar.ProfileSpeechCUDA]},
		{"on the NPU", "auto", onNPU, npu, "small"},
		{"a size of the user's", "medium", onGPU, cuda, "medium"},
	} {
		var s setup
		s.cfg.Speech.Model = tt.model
		if profile, size := s.speechPlan(tt.plan); profile != tt.profile || size != tt.size {
			t.Errorf("%s: %s and %s, want %s and %s", tt.name, profile, size, tt.profile, tt.size)
		}
	}
}
