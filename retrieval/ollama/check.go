package ollama

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ollama/ollama/api"
)

// A Status is what an Ollama server says of itself and of one model.
type Status struct {
	Version string // of the server; "" where none answers
	Present bool   // the model is on its disk
	Loaded  bool   // and in memory
	// Bytes and VRAMBytes are what the loaded model takes, in all and on GPUs.
	Bytes, VRAMBytes int64
	Context          int    // tokens the model was trained for; 0 where unknown
	Err              error  // what is wrong, in words; nil where the model can be used
	Mend             string // the command that mends it, or ""
}

const checkTime = 5 * time.Second

// Check asks a server for its state and for that of the model. It loads nothing.
func Check(ctx context.Context, cfg Config) Status {
	c, err := newClient(cfg)
	if err != nil {
		return Status{Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var s Status
	if s.Version, err = c.api.Version(ctx); err != nil {
		return Status{Err: c.explain(err), Mend: "ollama serve"}
	}
	shown, err := c.api.Show(ctx, &api.ShowRequest{Model: c.model})
	if err != nil {
		s.Err = c.explain(err)
		if status := (api.StatusError{}); errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
			s.Mend = c.pull()
		}
		return s
	}
	s.Present = true
	s.Context = trained(shown.ModelInfo)
	running, err := c.api.ListRunning(ctx)
	if err != nil {
		s.Err = c.explain(err)
		return s
	}
	for _, m := range running.Models {
		if tagged(m.Name) == tagged(c.model) {
			s.Loaded, s.Bytes, s.VRAMBytes = true, m.Size, m.SizeVRAM
		}
	}
	return s
}

// trained is the context length in a model's metadata, whose key begins with its architecture.
func trained(info map[string]any) int {
	architecture, _ := info["general.architecture"].(string)
	length, _ := info[architecture+".context_length"].(float64)
	return int(length)
}

// tagged is a model's name with its tag.
func tagged(model string) string {
	if !strings.Contains(model[strings.LastIndex(model, "/")+1:], ":") {
		model += ":latest"
	}
	return strings.ToLower(model)
}
