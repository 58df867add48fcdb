package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Status is what a server says of itself.
type Status struct {
	Models  []string // that it names
	Present bool     // the model is among them
	Err     error    // what is wrong, in words; nil where the model can be used
}

const checkTime = 5 * time.Second

// Check asks a server for its models. It runs none.
func Check(ctx context.Context, cfg Config) Status {
	c, err := newClient(cfg)
	if err != nil {
		return Status{Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	body, err := c.call(ctx, http.MethodGet, "models", nil)
	if err != nil {
		return Status{Err: err}
	}
	defer func() { _ = body.Close() }()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.NewDecoder(body).Decode(&list); err != nil {
		return Status{Err: fmt.Errorf("%s lists no models: %w", c.at(), err)}
	}
	var s Status
	for _, m := range list.Data {
		s.Models = append(s.Models, m.ID)
	}
	if s.Present = slices.Contains(s.Models, c.model) || slices.Contains(s.Models, c.model+":latest"); !s.Present {
		s.Err = fmt.Errorf("%s has no model %q; it has: %s", c.at(), c.model, clip(strings.Join(s.Models, ", ")))
	}
	return s
}
