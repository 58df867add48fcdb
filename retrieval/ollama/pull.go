package ollama

import (
	"context"

	"github.com/ollama/ollama/api"
)

// Pull has the server fetch the model. Progress is given the bytes that it has, and
// those that there will be as far as it knows: both grow while it runs. What a
// broken pull has brought, the next one keeps.
func Pull(ctx context.Context, cfg Config, progress func(done, total int64)) error {
	c, err := newClient(cfg)
	if err != nil {
		return err
	}
	var done, total int64
	layers := map[string]api.ProgressResponse{}
	err = c.api.Pull(ctx, &api.PullRequest{Model: c.model}, func(p api.ProgressResponse) error {
		if p.Digest == "" {
			return nil
		}
		done += p.Completed - layers[p.Digest].Completed
		total += p.Total - layers[p.Digest].Total
		layers[p.Digest] = p
		progress(done, total)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		return c.explain(err)
	}
	return err
}
