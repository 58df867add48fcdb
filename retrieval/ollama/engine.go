package ollama

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ollama/ollama/api"

	"github.com/acervo-kb/acervo/hwplan"
)

// An Engine is an Ollama server as the planner sees it. It satisfies [hwplan.Engine].
type Engine struct {
	client
}

// NewEngine makes no call; its error is the URL's. The configuration's model is not used.
func NewEngine(cfg Config) (*Engine, error) {
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Engine{client: c}, nil
}

// Version is the server's.
func (e *Engine) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	version, err := e.api.Version(ctx)
	if err != nil {
		return "", e.explain(err)
	}
	return version, nil
}

// Model reads the tensors of one of the server's models.
func (e *Engine) Model(ctx context.Context, name string) (hwplan.Model, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	shown, err := e.api.Show(ctx, &api.ShowRequest{Model: name})
	if status := (api.StatusError{}); errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		return hwplan.Model{}, fmt.Errorf("%w: %s at %s", hwplan.ErrNoModel, name, e.url)
	}
	if err != nil {
		return hwplan.Model{}, e.explain(err)
	}
	tensors := make([]hwplan.Tensor, len(shown.Tensors))
	for i, t := range shown.Tensors {
		tensors[i] = hwplan.Tensor{Name: t.Name, Type: t.Type, Shape: make([]int64, len(t.Shape))}
		for j, n := range t.Shape {
			tensors[i].Shape[j] = int64(n)
		}
	}
	return hwplan.FromTensors(name, shown.ModelInfo, tensors)
}

// Models returns the models on the server's disk.
func (e *Engine) Models(ctx context.Context) ([]hwplan.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	list, err := e.api.List(ctx)
	if err != nil {
		return nil, e.explain(err)
	}
	stored := make([]hwplan.Stored, len(list.Models))
	for i, m := range list.Models {
		stored[i] = hwplan.Stored{Name: m.Name, Bytes: m.Size}
	}
	return stored, nil
}

// Running returns the models in the server's memory.
func (e *Engine) Running(ctx context.Context) ([]hwplan.Running, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	list, err := e.api.ListRunning(ctx)
	if err != nil {
		return nil, e.explain(err)
	}
	running := make([]hwplan.Running, len(list.Models))
	for i, m := range list.Models {
		running[i] = hwplan.Running{Name: m.Name, Bytes: m.Size, VRAMBytes: m.SizeVRAM, Context: m.ContextLength}
	}
	return running, nil
}
