package hwplan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the runners of both generations of Ollama allocate, by their logs, against the estimate of what /api/show tells.
func TestEstimateOfRunner(t *testing.T) {
	for _, generation := range []string{"OLLAMA", "OLLAMA_OLDER"} {
		t.Run(generation, func(t *testing.T) {
			url, logFile := os.Getenv("ACERVO_TEST_"+generation+"_URL"), os.Getenv("ACERVO_TEST_"+generation+"_LOG")
			if url == "" || logFile == "" {
				t.Skipf("needs a real Ollama: ACERVO_TEST_%s_URL or _LOG is not set", generation)
			}
			// Contexts that nobody else asks for, so that the models are loaded anew.
			checkRunner(t, url, logFile, os.Getenv("ACERVO_TEST_LLM"), Settings{Context: 1792, Batch: 320})
			checkRunner(t, url, logFile, os.Getenv("ACERVO_TEST_EMBEDDER"), Settings{Context: 384, Batch: 320})
		})
	}
}

func checkRunner(t *testing.T, url, logFile, name string, s Settings) {
	t.Helper()
	var answer shown
	post(t, url+"/api/show", map[string]any{"model": name}, &answer)
	m, err := FromTensors(name, answer.Info, answer.Tensors)
	if err != nil {
		t.Fatal(err)
	}
	got := buffers(t, loadLog(t, url, logFile, m, s))
	compute := mibOf(m.computeCPU(s))
	if generationOf(version(t, url)) == Gen1 && m.Decoder() {
		// The older reserves logits for a whole batch, which it never touches on the CPU: the buffer is that of a GPU.
		compute = mibOf(m.compute(s))
	}
	whole := s
	whole.Offload = m.Layers // the same bytes, in other memory
	e := Estimate(m, whole)
	weights := e.Weights + m.InputBytes
	if m.Tied {
		weights = e.Weights
	}
	t.Logf("%s, MiB: weights %.2f, planned %.2f; KV %.2f, planned %.2f; compute %.2f, planned %.2f",
		name, got["model"], mibOf(weights), got["KV"], mibOf(e.KV), got["compute"], compute)
	near(t, "weights", mibOf(weights), got["model"], 1)
	near(t, "KV cache", mibOf(e.KV), got["KV"], 1)
	near(t, "compute buffer", compute, got["compute"], 1)
}

// buffers are the sizes in a runner's log, in MiB. The older generation's own engine, which runs embedders, words them otherwise.
func buffers(t *testing.T, log string) map[string]float64 {
	t.Helper()
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	got := map[string]float64{}
	for _, match := range regexp.MustCompile(`(model|KV|compute) buffer size = +([0-9.]+) MiB`).FindAllStringSubmatch(log, -1) {
		got[match[1]] += number(match[2])
	}
	if match := regexp.MustCompile(`msg="model weights" device=CPU size="([0-9.]+) MiB"`).FindStringSubmatch(log); match != nil && got["model"] == 0 {
		got["model"] = number(match[1])
	}
	return got
}

func version(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url + "/api/version")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct{ Version string }
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Version
}

// loadLog loads m on the CPU and returns what the log says from the start of its runner on.
func loadLog(t *testing.T, url, logFile string, m Model, s Settings) string {
	t.Helper()
	before, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	options := map[string]any{"num_ctx": s.Context, "num_batch": s.Batch, "num_gpu": 0, "num_predict": 1}
	if m.Decoder() {
		post(t, url+"/api/generate", map[string]any{"model": m.Name, "prompt": "a", "stream": false, "options": options, "keep_alive": 0}, nil)
	} else {
		post(t, url+"/api/embed", map[string]any{"model": m.Name, "input": "a", "options": options, "keep_alive": 0}, nil)
	}
	after, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	runners := regexp.MustCompile(`msg="starting (?:llama-server|runner)"`).Split(string(after[len(before):]), -1)
	for _, log := range runners[1:] {
		// The newer names the context on the command line, the older in what it asks its runner for.
		if strings.Contains(log, fmt.Sprintf("-c %d ", s.Context)) || strings.Contains(log, fmt.Sprintf("KvSize:%d ", s.Context)) {
			return log
		}
	}
	t.Fatalf("the log tells of %d runners since, none of them with a context of %d", len(runners)-1, s.Context)
	return ""
}

func post(t *testing.T, url string, body, answer any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 2 * time.Minute}
	r, err := client.Post(url, "application/json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, r.Status)
	}
	if answer == nil {
		return
	}
	if err := json.NewDecoder(r.Body).Decode(answer); err != nil {
		t.Fatal(err)
	}
}
