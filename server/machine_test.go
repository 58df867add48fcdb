package server

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
)

// silent is an engine that does not answer.
type silent struct{}

var errSilent = errors.New("nobody answers")

func (silent) Version(context.Context) (string, error)             { return "", errSilent }
func (silent) Models(context.Context) ([]hwplan.Stored, error)     { return nil, errSilent }
func (silent) Running(context.Context) ([]hwplan.Running, error)   { return nil, errSilent }
func (silent) Model(context.Context, string) (hwplan.Model, error) { return hwplan.Model{}, errSilent }

// laptop is a keeper of the target laptop, with no engine running.
func laptop(t *testing.T) *hwplan.Keeper {
	t.Helper()
	card := hwplan.GPU{Name: "RTX 3050", Driver: "580", TemperatureC: 48, Memory: hwplan.Memory{TotalBytes: 6144 * hwplan.MiB, FreeBytes: 6001 * hwplan.MiB}, Throttle: []string{}}
	return hwplan.NewKeeper(hwplan.KeeperConfig{
		Read: func(context.Context) hwplan.Hardware {
			return hwplan.Hardware{OS: "linux", RAM: hwplan.Memory{TotalBytes: 32 << 30, FreeBytes: 28 << 30}, GPUs: []hwplan.GPU{card}, Notes: []string{}}
		},
		Engine: silent{}, Chat: "qwen2.5:7b", Embedder: "nomic-embed-text",
	})
}

func TestPlan(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	var plan hwplan.Plan
	_, body := exchange{"GET", "/api/v1/plan", "", nil}.send(t, s)
	if err := json.Unmarshal([]byte(body), &plan); err != nil || plan.Roles[hwplan.Chat].NumGPU != 26 || plan.Mode != hwplan.ModeHybrid {
		t.Errorf("%v: %s", err, body)
	}
	_, body = exchange{"POST", "/api/v1/plan", `{"gpu_total_bytes": 0, "ram_bytes": 34359738368, "llm": "qwen2.5:7b"}`, nil}.send(t, s)
	if err := json.Unmarshal([]byte(body), &plan); err != nil || plan.Mode != hwplan.ModeCPU {
		t.Errorf("%v: %s", err, body)
	}
	_, body = exchange{"POST", "/api/v1/plan", `{"gpu_total_bytes": 25769803776, "reranker": "bge-reranker-v2-m3", "captions": "moondream"}`, nil}.send(t, s)
	if err := json.Unmarshal([]byte(body), &plan); err != nil || plan.Roles[hwplan.Reranking].Device != hwplan.OnGPU || plan.Lent[hwplan.Captions].Device != hwplan.OnGPU {
		t.Errorf("%v: %s", err, body)
	}
	for _, bad := range []string{`{"reranker":"bge-m3"}`, `{"kv":"f3"}`, `{"ctx":-1}`, `{"llm":"no-such:1b"}`, `{"gpu_total_bytes":5,"gpu_free_bytes":6}`, `{"gpu":1}`} {
		resp, body := exchange{"POST", "/api/v1/plan", bad, nil}.send(t, s)
		if resp.StatusCode != 422 || !strings.Contains(body, `"code":"invalid"`) {
			t.Errorf("%s: %d %s", bad, resp.StatusCode, body)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	_, body := exchange{"GET", "/metrics", "", nil}.send(t, s)
	for _, line := range []string{
		`acervo_gpu_memory_bytes{gpu="0",kind="total",name="RTX 3050"} 6.442450944e+09`, `acervo_gpu_temperature_celsius{gpu="0",name="RTX 3050"} 48`,
		`acervo_plan_lendable_bytes{device="gpu"} 6.0`, "acervo_advice_level 0", "go_goroutines",
	} {
		if !strings.Contains(body, line) {
			t.Errorf("there is no %s in\n%s", line, body)
		}
	}
}
