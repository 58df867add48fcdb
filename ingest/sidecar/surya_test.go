package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// inked is a page of A4 at 300 dpi with something on it.
func inked(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for y := height / 10; y < height/5; y++ {
		for x := width / 10; x < width*9/10; x++ {
			img.SetGray(x, y, color.Gray{Y: 0})
		}
	}
	return encoded(t, img)
}

func encoded(t *testing.T, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// gpuPlanner lends OCR and chat a card that has room for one of them.
func gpuPlanner() *hwplan.Planner {
	return hwplan.NewPlanner(hwplan.Plan{
		GPU:   hwplan.Budget{TotalBytes: 6 << 30, FreeBytes: 5 << 30},
		Roles: map[hwplan.Role]hwplan.Placement{hwplan.Chat: {Device: hwplan.OnGPU, VRAMBytes: 4 << 30, NumThread: 3}},
		Lent:  map[hwplan.Role]hwplan.Placement{hwplan.OCR: {Engine: "surya", Device: hwplan.OnGPU, VRAMBytes: 2600 << 20, Batch: 1}},
	})
}

func lends(p *hwplan.Planner) func(context.Context) (*hwplan.Planner, error) {
	return func(context.Context) (*hwplan.Planner, error) { return p, nil }
}

var quickLlama = limits{
	load: 10 * time.Second, stall: 3 * time.Second, idle: time.Minute, units: 1000,
	pause: 10 * time.Millisecond, rest: time.Minute, deaths: 5,
}

func suryaEngine(t *testing.T, bed suryaBed, planner *hwplan.Planner, bounds limits) *surya {
	t.Helper()
	s := newSurya(Config{SuryaModel: bed.models, LlamaServer: bed.server, Scratch: t.TempDir()}, newLease(lends(planner), hwplan.OCR, hwplan.OnGPU), bounds)
	t.Cleanup(s.worker.close)
	return s
}

func TestSuryaReads(t *testing.T) {
	bed := newSuryaBed(t, "good")
	s := suryaEngine(t, bed, gpuPlanner(), quickLlama)
	page, err := s.recognize(t.Context(), inked(t, 2480, 3508), "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range page.Lines {
		if page.Lines[i].Confidence < 0.899 || page.Lines[i].Confidence > 0.901 {
			t.Errorf("confidence %g", page.Lines[i].Confidence)
		}
		page.Lines[i].Confidence = 0.9
	}
	want := []parse.ScannedLine{
		{Text: "Contrato de arrendamiento", Box: [4]float64{0.1, 0.06, 0.9, 0.1}, Confidence: 0.9, Paragraph: 1, Heading: 1},
		{Text: "La renta es de 450 € al mes.", Box: [4]float64{0.1, 0.12, 0.9, 0.2}, Confidence: 0.9, Paragraph: 2},
	}
	if diff := cmp.Diff(want, page.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if page.Engine != "surya-2 llama.cpp b9999-abcdef0 gpu" {
		t.Errorf("engine %q", page.Engine)
	}
	var asked chatRequest
	requests := bed.told(t, "requests")
	if len(requests) != 1 || json.Unmarshal([]byte(requests[0]), &asked) != nil {
		t.Fatalf("requests %q", requests)
	}
	wantRequest := newChatRequest(nil, sampling{0, 0.1})
	wantRequest.Messages[0].Content[0].ImageURL.URL = "png 1587×2245 true <nil>" // 192 of 300 dpi
	if diff := cmp.Diff(wantRequest, asked); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	raw, _ := json.Marshal(asked)
	for _, part := range []string{`"temperature":0,`, `"top_p":0.1,`, `"logprobs":true`, `"max_tokens":8192`,
		`"text":"OCR this image to HTML. Each block is a div with data-label and data-bbox (x0 y0 x1 y1, normalized 0-1000)."`} {
		if !strings.Contains(string(raw), part) {
			t.Errorf("the request has no %s", part)
		}
	}
}

var port = regexp.MustCompile(`"--port","\d+"`)

// The command line is Surya's own, for one page at a time.
func TestLlamaCommand(t *testing.T) {
	onCPU := hwplan.NewPlanner(hwplan.Plan{Lent: map[hwplan.Role]hwplan.Placement{hwplan.OCR: {Device: hwplan.OnCPU, NumThread: 6}}})
	tail := `"--host","127.0.0.1","--port","P","--parallel","1","--ctx-size","12288","--alias","datalab-to/surya-ocr-2","--jinja"]`
	for _, tt := range []struct {
		name    string
		planner *hwplan.Planner
		want    string
		image   string
	}{
		{"gpu", gpuPlanner(), `"-ngl","99",` + tail, "png 1587×2245"},
		{"cpu", onCPU, `"-ngl","0","--no-mmproj-offload","--threads","6",` + tail, "png 925×1309"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bed := newSuryaBed(t, "good")
			o, err := NewOCR(Config{Engine: engineSurya, SuryaModel: bed.models, LlamaServer: bed.server, Planner: lends(tt.planner), Scratch: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(o.Close)
			if _, err := o.Recognize(t.Context(), inked(t, 2480, 3508), ""); err != nil {
				t.Fatal(err)
			}
			command, _ := json.Marshal([]string{"-m", filepath.Join(bed.models, "surya-2.gguf"), "--mmproj", filepath.Join(bed.models, "surya-2-mmproj.gguf")})
			want := strings.TrimSuffix(string(command), "]") + "," + tt.want
			if got := port.ReplaceAllString(strings.Join(bed.told(t, "arguments"), ""), `"--port","P"`); got != want {
				t.Errorf("command line\n%s, want\n%s", got, want)
			}
			environment := bed.told(t, "environment")[0]
			for _, variable := range []string{"LLAMA_ARG_CACHE_RAM=0", "LLAMA_ARG_OFFLINE=1", "HF_HUB_OFFLINE=1"} {
				if !strings.Contains(environment, variable) {
					t.Errorf("no %s in %s", variable, environment)
				}
			}
			if hidden := strings.Contains(environment, `"CUDA_VISIBLE_DEVICES="`); hidden != (tt.name == "cpu") {
				t.Errorf("the card is hidden: %v", hidden)
			}
			if !strings.Contains(bed.told(t, "requests")[0], tt.image) {
				t.Errorf("request %s, want an image of %s", bed.told(t, "requests")[0], tt.image)
			}
		})
	}
}

// The server sees nothing of what this program knows.
func TestLlamaSeesNoSecrets(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-secret")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // nor is it asked through one
	bed := newSuryaBed(t, "good")
	if _, err := suryaEngine(t, bed, gpuPlanner(), quickLlama).recognize(t.Context(), inked(t, 300, 400), ""); err != nil {
		t.Fatal(err)
	}
	if environment := bed.told(t, "environment")[0]; strings.Contains(environment, "secret") || strings.Contains(environment, "PROXY") {
		t.Errorf("environment %s", environment)
	}
}

func TestSuryaFaults(t *testing.T) {
	tests := []struct {
		behaviour string
		want      string // in the error; "": it reads
		requests  int
		starts    int
		code      parse.Code // of an error that is the page's
	}{
		{"slow start", "", 1, 1, ""},
		{"taken port", "", 1, 2, ""},
		{"loops once", "", 2, 1, ""},
		{"dies once", "", 2, 2, ""},
		{"picture", "", 1, 1, ""},
		{"loops", "goes round in circles", 4, 1, parse.Crashed},
		{"cut", "did not come to the end", 1, 1, parse.Crashed},
		{"garbage", "something else than the page: \"I'm sorry", 1, 1, parse.Crashed},
		{"empty", "not blank", 1, 1, parse.Crashed},
		{"blank", "not blank", 1, 1, parse.Crashed},
		{"refuses", "HTTP 400: the request exceeds the available context size", 1, 1, parse.Crashed},
		{"dies", "illegal memory access", 2, 2, parse.Crashed},
		{"no stop", "ends in the middle", 2, 2, parse.Crashed},
		{"babbles", "it speaks no JSON", 2, 2, parse.Crashed},
		{"stalls", "no progress for", 1, 1, parse.Timeout},
		{"hangs", "no progress for", 1, 1, parse.Timeout},
		{"never ready", "not ready within", 0, 1, ""},
		{"broken", "unknown model architecture", 0, 1, ""},
		{"stranger", "another server answers", 0, portTries, ""},
		{"no key", "another server answers", 0, portTries, ""},
		{"another's key", "another server answers", 0, portTries, ""},
		{"no memory", "cudaMalloc failed: out of memory", 0, 1, ""},
		{"runs out", "cudaMalloc failed: out of memory", 1, 1, ""},
		{"says it ran out", "failed to allocate compute buffers", 1, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.behaviour, func(t *testing.T) {
			t.Parallel()
			bed := newSuryaBed(t, tt.behaviour)
			bounds := quickLlama
			if tt.behaviour == "never ready" {
				bounds.load = 500 * time.Millisecond
			}
			planner := gpuPlanner()
			s := suryaEngine(t, bed, planner, bounds)
			page, err := s.recognize(t.Context(), inked(t, 600, 800), "")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if err == nil && tt.behaviour != "picture" && len(page.Lines) != 2 {
				t.Errorf("page %+v", page)
			}
			var fault *parse.Error
			if errors.As(err, &fault) != (tt.code != "") || fault != nil && fault.Code != tt.code {
				t.Errorf("the page is blamed: %+v, want %q", fault, tt.code)
			}
			if err != nil && tt.code == "" && !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v is none of an engine that cannot run now", err)
			}
			if got := len(bed.told(t, "requests")); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			if got := len(bed.told(t, "pids")); got != tt.starts {
				t.Errorf("%d processes, want %d", got, tt.starts)
			}
			s.worker.close()
			if u := planner.Usage(); u.GPU.LentBytes != 0 {
				t.Errorf("%d bytes are left lent", u.GPU.LentBytes)
			}
			for _, pid := range bed.told(t, "pids") {
				if n, _ := strconv.Atoi(pid); !gone(n) {
					t.Errorf("process %s lives on", pid)
				}
			}
		})
	}
}

// A model in a loop is asked again to choose its words more freely, and is not waited for to come to its end.
func TestSuryaLoop(t *testing.T) {
	bed := newSuryaBed(t, "loops")
	_, _ = suryaEngine(t, bed, gpuPlanner(), quickLlama).recognize(t.Context(), inked(t, 600, 800), "")
	var got []sampling
	for _, line := range bed.told(t, "requests") {
		var r chatRequest
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, sampling{r.Temperature, r.TopP})
	}
	if want := []sampling{{0, 0.1}, {0.2, 0.95}, {0.4, 0.95}, {0.6, 0.95}}; !slices.Equal(got, want) {
		t.Errorf("asked with %v, want %v", got, want)
	}
}

// A blank page is an empty page, not a failure.
func TestSuryaBlankPage(t *testing.T) {
	white := image.NewGray(image.Rect(0, 0, 600, 800))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	page, err := suryaEngine(t, newSuryaBed(t, "blank"), gpuPlanner(), quickLlama).recognize(t.Context(), encoded(t, white), "")
	if err != nil || len(page.Lines) != 0 || page.Engine == "" {
		t.Errorf("page %+v, %v", page, err)
	}
}

// A server that has nothing to do ends, and gives its memory back when it has ended.
func TestSuryaIdle(t *testing.T) {
	bounds := quickLlama
	bounds.idle = 100 * time.Millisecond
	bed, planner := newSuryaBed(t, "good"), gpuPlanner()
	s := suryaEngine(t, bed, planner, bounds)
	if _, err := s.recognize(t.Context(), inked(t, 300, 400), ""); err != nil {
		t.Fatal(err)
	}
	granted(t, planner, hwplan.Chat)
	if pid, _ := strconv.Atoi(bed.told(t, "pids")[0]); !gone(pid) {
		t.Error("it lives on")
	}
}

// granted waits for a role's memory, and gives it back.
func granted(t *testing.T, planner *hwplan.Planner, role hwplan.Role) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	g, err := planner.Grant(ctx, role)
	if err != nil {
		t.Fatal(err)
	}
	g.Release()
}

// A question while a long scan is read: the server ends at the end of the page in hand, before its memory is lent,
// and the scan goes on afterwards.
func TestQuestionDuringSurya(t *testing.T) {
	bed, planner := newSuryaBed(t, "long"), gpuPlanner()
	s := suryaEngine(t, bed, planner, quickLlama)
	image := inked(t, 300, 400)
	const pages = 12
	read := make(chan int, pages)
	scan := make(chan error, 1)
	go func() {
		defer close(read)
		for n := range pages {
			if _, err := s.recognize(t.Context(), image, ""); err != nil {
				scan <- err
				return
			}
			read <- n
		}
		scan <- nil
	}()
	questions, longest := 0, time.Duration(0)
	for n := range read {
		if n%4 != 1 {
			continue
		}
		start := time.Now()
		g, err := planner.Grant(t.Context(), hwplan.Chat)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(start))
		pids := bed.told(t, "pids")
		if !dead(t, pids[len(pids)-1]) {
			t.Error("the memory is lent while the server lives")
		}
		g.Release()
		questions++
	}
	if err := <-scan; err != nil || questions != pages/4 {
		t.Errorf("%d questions, %v", questions, err)
	}
	if starts := len(bed.told(t, "pids")); starts < 2 || starts > 1+questions {
		t.Errorf("%d starts: a question costs one at most", starts)
	}
	t.Logf("a question waited for %s at most; a page takes 50 ms and more", longest)
}

// Who closes while a page is read waits for the server's end, not for the page's.
func TestSuryaClose(t *testing.T) {
	bed := newSuryaBed(t, "hangs")
	s := suryaEngine(t, bed, gpuPlanner(), quickLlama)
	result := make(chan error, 1)
	go func() {
		_, err := s.recognize(t.Context(), inked(t, 300, 400), "")
		result <- err
	}()
	for len(bed.told(t, "requests")) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	start := time.Now()
	s.worker.close()
	if err := <-result; !errors.Is(err, ErrClosed) || time.Since(start) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	if !dead(t, bed.told(t, "pids")[0]) {
		t.Error("it lives on")
	}
}

// A caller who gives up costs no process: the next page is read by the same.
func TestSuryaCancel(t *testing.T) {
	bed := newSuryaBed(t, "hangs")
	s := suryaEngine(t, bed, gpuPlanner(), quickLlama)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(bed.told(t, "requests")) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	o := &OCR{engines: []engine{s}, log: Config{}.log()}
	if _, err := o.Recognize(ctx, inked(t, 300, 400), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if dead(t, bed.told(t, "pids")[0]) {
		t.Error("it ended with the call")
	}
}

func TestSuryaRestartBudget(t *testing.T) {
	bounds := quickLlama
	bounds.deaths = 3
	bed := newSuryaBed(t, "no memory")
	s := suryaEngine(t, bed, gpuPlanner(), bounds)
	for range 5 {
		if _, err := s.recognize(t.Context(), inked(t, 300, 400), ""); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	}
	if starts := len(bed.told(t, "pids")); starts != 3 {
		t.Errorf("%d starts, want 3", starts)
	}
}

func TestSuryaMissing(t *testing.T) {
	bed := newSuryaBed(t, "good")
	cfg := Config{Engine: engineSurya, SuryaModel: bed.models, LlamaServer: filepath.Join(bed.models, "none"), Planner: lends(gpuPlanner())}
	read := func(cfg Config) error {
		o, err := NewOCR(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		_, err = o.Recognize(t.Context(), inked(t, 300, 400), "")
		return err
	}
	if err := read(cfg); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "ocr.llama_server") || SuryaInstalled(cfg) {
		t.Errorf("without llama-server: %v", err)
	}
	cfg.LlamaServer = bed.server
	if found := checkSurya(t.Context(), cfg); !SuryaInstalled(cfg) || !found.OK || found.Version != "llama.cpp 9999 (abcdef0)" {
		t.Errorf("it is there: %+v", found)
	}
	if err := os.Remove(filepath.Join(bed.models, suryaEyes)); err != nil {
		t.Fatal(err)
	}
	if err := read(cfg); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "surya-2-mmproj.gguf") || SuryaInstalled(cfg) {
		t.Errorf("without the image encoder: %v", err)
	}
	if found := checkSurya(t.Context(), cfg); found.OK || !strings.Contains(found.Detail, "surya-2-mmproj.gguf") {
		t.Errorf("%+v", found)
	}
}

// With auto Surya reads where it is lent memory, and only there; who names it gets no other.
func TestAutoTakesSurya(t *testing.T) {
	onCPU := hwplan.NewPlanner(hwplan.Plan{Lent: map[hwplan.Role]hwplan.Placement{hwplan.OCR: {Device: hwplan.OnCPU}}})
	for _, tt := range []struct {
		name, engine, behaviour string
		planner                 *hwplan.Planner
		want                    string
	}{
		{"lent", engineAuto, "good", gpuPlanner(), "surya-2 llama.cpp b9999-abcdef0 gpu"},
		{"not lent", engineAuto, "good", onCPU, "next"},
		{"no planner", engineAuto, "good", nil, "next"},
		{"it fails", engineAuto, "garbage", gpuPlanner(), "next"},
		{"it does not start", engineAuto, "no memory", gpuPlanner(), "next"},
		{"named", engineSurya, "good", onCPU, "surya-2 llama.cpp b9999-abcdef0 cpu"},
		{"named, it fails", engineSurya, "garbage", onCPU, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bed := newSuryaBed(t, tt.behaviour)
			cfg := Config{Engine: tt.engine, SuryaModel: bed.models, LlamaServer: bed.server, Scratch: t.TempDir()}
			if tt.planner != nil {
				cfg.Planner = lends(tt.planner)
			}
			o, err := NewOCR(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(o.Close)
			if tt.engine == engineAuto {
				o.engines[1] = reads("next", 0.9) // in Tesseract's place
			}
			page, err := o.Recognize(t.Context(), inked(t, 300, 400), "")
			if page.Engine != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("engine %q, error %v", page.Engine, err)
			}
		})
	}
}

// An engine for the CPU gets the threads of the plan, also where the plan has another for the GPU.
func TestThreadsBesideSurya(t *testing.T) {
	got, err := newLease(lends(gpuPlanner()), hwplan.OCR, hwplan.OnCPU).take(t.Context())
	if err != nil || got.placement.NumThread != 3 || got.give != nil {
		t.Errorf("%+v, %v", got, err)
	}
}
