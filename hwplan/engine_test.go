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

// What a real Ollama's runner allocates, by its log, against the estimate of what /api/show tells.
func TestEstimateOfRunner(t *testing.T) {
	url, logFile := os.Getenv("ACERVO_TEST_OLLAMA_URL"), os.Getenv("ACERVO_TEST_OLLAMA_LOG")
	if url == "" || logFile == "" {
		t.Skip("needs a real Ollama: ACERVO_TEST_OLLAMA_URL or ACERVO_TEST_OLLAMA_LOG is not set")
	}
	for variable, s := range map[string]Settings{ // contexts that nobody else asks for, so that the model is loaded anew
		"ACERVO_TEST_LLM":      {Context: 1792, Batch: 320},
		"ACERVO_TEST_EMBEDDER": {Context: 384, Batch: 320},
	} {
		t.Run(variable, func(t *testing.T) {
			name := os.Getenv(variable)
			var answer shown
			post(t, url+"/api/show", map[string]any{"model": name}, &answer)
			m, err := FromTensors(name, answer.Info, answer.Tensors)
			if err != nil {
				t.Fatal(err)
			}
			log := loadLog(t, url, logFile, m, s)
			got := map[string]float64{}
			for _, match := range regexp.MustCompile(`(model|KV|compute) buffer size = +([0-9.]+) MiB`).FindAllStringSubmatch(log, -1) {
				n, err := strconv.ParseFloat(match[2], 64)
				if err != nil {
					t.Fatal(err)
				}
				got[match[1]] += n
			}
			onCPU := m.computeCPU(s)
			s.Offload = m.Layers // the same bytes, in other memory
			e := Estimate(m, s)
			weights := e.Weights + m.InputBytes
			if m.Tied {
				weights = e.Weights
			}
			t.Logf("%s, MiB: weights %.2f, planned %.2f; KV %.2f, planned %.2f; compute %.2f, planned %.2f",
				name, got["model"], mibOf(weights), got["KV"], mibOf(e.KV), got["compute"], mibOf(onCPU))
			near(t, "weights", mibOf(weights), got["model"], 1)
			near(t, "KV cache", mibOf(e.KV), got["KV"], 1)
			near(t, "compute buffer", mibOf(onCPU), got["compute"], 1)
		})
	}
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
	runners := strings.Split(string(after[len(before):]), "starting llama-server")
	for _, log := range runners[1:] {
		if strings.Contains(log, fmt.Sprintf("-c %d ", s.Context)) {
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
