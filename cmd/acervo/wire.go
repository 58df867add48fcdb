package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/worker"
	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
	"github.com/acervo-kb/acervo/retrieval/chromem"
	"github.com/acervo-kb/acervo/retrieval/ollama"
	"github.com/acervo-kb/acervo/retrieval/openai"
	"github.com/acervo-kb/acervo/server"
	"github.com/acervo-kb/acervo/web"
)

// app is every part of the program, built once. Its parts are closed in the reverse of the order they were opened in.
type app struct {
	lock    *dataLock
	index   *retrieval.Index
	chats   *answer.Chats
	pool    *worker.Pool
	corpus  *ingest.Corpus
	handler http.Handler
}

// open builds the program over its data directory, which it locks. done ends open event streams when it is closed.
func open(ctx context.Context, cfg Config, log *slog.Logger, done <-chan struct{}) (_ *app, err error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("the data directory cannot be made: %w", err)
	}
	if err := os.MkdirAll(cfg.Docs, 0o755); err != nil {
		return nil, fmt.Errorf("the folder of documents cannot be made: %w", err)
	}
	a := &app{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.lock, err = lockData(cfg.Data); err != nil {
		return nil, err
	}
	count, err := newTokenCounter()
	if err != nil {
		return nil, err
	}
	embedder, err := newEmbedder(cfg)
	if err != nil {
		return nil, err
	}
	generator, err := newGenerator(cfg)
	if err != nil {
		return nil, err
	}
	a.index, err = retrieval.Open(ctx, retrieval.Config{
		Dir: cfg.Data, Embedder: embedder, NewVectors: func() retrieval.VectorStore { return chromem.New() }, Log: log,
		Embedded: func(id string) { a.corpus.Embedded(id) },
	})
	if err != nil {
		return nil, fmt.Errorf("the index cannot be opened: %w", err)
	}
	if a.chats, err = answer.OpenChats(filepath.Join(cfg.Data, "chats.db")); err != nil {
		return nil, err
	}
	if a.pool, err = newPool(cfg, log); err != nil {
		return nil, err
	}
	a.corpus, err = ingest.Open(ctx, ingest.Config{
		Docs: cfg.Docs, Data: cfg.Data, Index: a.index, Reader: a.pool, Count: count, Chunk: cfg.chunk(),
		Settle: cfg.Watch.Settle, Rescan: cfg.Watch.Rescan, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("the ledger cannot be opened: %w", err)
	}
	a.handler = server.New(server.Config{
		Corpus: a.corpus, Index: a.index, Chats: a.chats, UI: web.Files(), Version: version, Embedder: cfg.embedderName(), Done: done, Log: log,
		Answerer: answer.New(answer.Config{Index: a.index, Generator: generator, Count: count, Context: cfg.Answer.Context, Log: log}),
	})
	return a, nil
}

// Close closes what was opened.
func (a *app) Close() error {
	var errs []error
	if a.corpus != nil {
		errs = append(errs, a.corpus.Close())
	}
	if a.pool != nil {
		errs = append(errs, a.pool.Close())
	}
	if a.chats != nil {
		errs = append(errs, a.chats.Close())
	}
	if a.index != nil {
		errs = append(errs, a.index.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.release())
	}
	return errors.Join(errs...)
}

// newPool runs the readers in worker processes: this same program, as `acervo worker`.
func newPool(cfg Config, log *slog.Logger) (*worker.Pool, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(cfg.Data, "cache")
	return worker.New(worker.Config{Command: []string{self, "worker", "--cache", cache}, Size: 2, Log: log}), nil
}

// newEmbedder returns nil where the configuration wants none.
func newEmbedder(cfg Config) (retrieval.Embedder, error) {
	switch cfg.Embedder.Provider {
	case "none":
		return nil, nil
	case "openai":
		return openai.NewEmbedder(openai.Config{URL: cfg.Embedder.URL, Model: cfg.Embedder.Model, Key: cfg.Embedder.Key})
	default:
		return ollama.NewEmbedder(ollama.Config{URL: cfg.Embedder.URL, Model: cfg.Embedder.Model, Key: cfg.Embedder.Key})
	}
}

// newGenerator returns nil where the configuration wants none.
func newGenerator(cfg Config) (answer.Generator, error) {
	switch cfg.LLM.Provider {
	case "none":
		return nil, nil
	case "openai":
		return openai.NewGenerator(openai.Config{URL: cfg.LLM.URL, Model: cfg.LLM.Model, Key: cfg.LLM.Key, Context: cfg.Answer.Context})
	default:
		return ollama.NewGenerator(ollama.Config{URL: cfg.LLM.URL, Model: cfg.LLM.Model, Key: cfg.LLM.Key, Context: cfg.Answer.Context})
	}
}

func (c *Config) embedderName() string {
	if c.Embedder.Provider == "none" {
		return ""
	}
	return c.Embedder.Model
}
