package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/sidecar"
	"github.com/acervo-kb/acervo/ingest/subprocess"
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
	lock     *dataLock
	detector *hwplan.Detector
	keeper   *hwplan.Keeper
	index    *retrieval.Index
	chats    *answer.Chats
	pool     *worker.Pool
	ocr      *sidecar.OCR    // nil: scans are not read
	speech   *sidecar.Speech // nil: recordings are not heard
	photos   *sidecar.Photos
	corpus   *ingest.Corpus
	handler  http.Handler
	tenants  []tenant // the embedder first: see [ollama.Generator.After]
}

// A tenant is a model that a plan keeps loaded.
type tenant interface {
	Load(ctx context.Context)
	Run(ctx context.Context) error
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
	if a.lock, err = lockData(ctx, cfg.Data); err != nil {
		return nil, err
	}
	if err := subprocess.Sweep(cfg.scratch()); err != nil {
		log.Warn("what a server that was killed left behind cannot be removed", "err", err)
	}
	if !subprocess.Isolates() {
		log.Info("this system does not let the processes that read documents be kept from the network; they are told to be offline")
	}
	count, err := newTokenCounter()
	if err != nil {
		return nil, err
	}
	a.detector = hwplan.NewDetector(cfg.Data)
	if a.keeper, err = newKeeper(cfg, a.detector, log); err != nil {
		return nil, err
	}
	embedder, generator, err := a.models(cfg)
	if err != nil {
		return nil, err
	}
	a.index, err = retrieval.Open(ctx, retrieval.Config{
		Dir: cfg.Data, Embedder: embedder, NewVectors: func() retrieval.VectorStore { return chromem.New() }, Log: log,
		Embedded: func(id string) { a.corpus.Embedded(id) }, Pace: a.keeper.Pacer(),
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
	if err := a.openCorpus(ctx, cfg, count, log); err != nil {
		return nil, err
	}
	a.handler = server.New(server.Config{
		Corpus: a.corpus, Index: a.index, Machine: a.keeper, Chats: a.chats, UI: web.Files(), Folder: cfg.Docs, Version: version, Embedder: cfg.embedderName(), Done: done, Log: log,
		Answerer: answer.New(answer.Config{Index: a.index, Generator: generator, Count: count, Log: log}),
	})
	return a, nil
}

// openCorpus opens the ledger, with the engines of perception that are wanted.
func (a *app) openCorpus(ctx context.Context, cfg Config, count func(string) int, log *slog.Logger) (err error) {
	c := ingest.Config{
		Docs: cfg.Docs, Data: cfg.Data, Index: a.index, Reader: a.pool, Count: count, Chunk: cfg.chunk(),
		Settle: cfg.Watch.Settle, Rescan: cfg.Watch.Rescan, Pace: a.keeper.Pacer(), Log: log,
		OCRLanguages: cfg.OCR.Languages, OCREngine: cfg.OCR.Engine,
	}
	perception := cfg.perception(a.keeper.Planner, log)
	if cfg.OCR.Engine != "none" {
		if a.ocr, err = sidecar.NewOCR(perception); err != nil {
			return err
		}
		c.OCR = a.ocr
	}
	if cfg.Speech.Engine != "none" {
		a.speech = sidecar.NewSpeech(perception)
		c.Speech = a.speech
	}
	a.photos = sidecar.NewPhotos(perception)
	c.Photos = a.photos
	if a.corpus, err = ingest.Open(ctx, c); err != nil {
		return fmt.Errorf("the ledger cannot be opened: %w", err)
	}
	return nil
}

// Close closes what was opened.
func (a *app) Close() error {
	var errs []error
	if a.corpus != nil {
		errs = append(errs, a.corpus.Close())
	}
	if a.ocr != nil {
		a.ocr.Close()
	}
	if a.speech != nil {
		a.speech.Close()
	}
	if a.photos != nil {
		a.photos.Close()
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
	if a.detector != nil {
		errs = append(errs, a.detector.Close())
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
	return worker.New(worker.Config{Command: []string{self, "worker", "--cache", cache}, Scratch: cfg.scratch(), Size: 2, Log: log}), nil
}

// scratch is where the processes that the program starts have their own directories.
func (c *Config) scratch() string { return filepath.Join(c.Data, "cache", "scratch") }

// models makes the adapters; nil where the configuration wants no such model.
func (a *app) models(cfg Config) (embedder retrieval.Embedder, generator answer.Generator, err error) {
	var first *ollama.Embedder
	switch m := cfg.Embedder; m.Provider {
	case "none":
	case "openai":
		embedder, err = openai.NewEmbedder(openai.Config{URL: m.URL, Model: m.Model, Key: m.Key})
	default:
		first, err = ollama.NewEmbedder(ollama.Config{URL: m.URL, Model: m.Model, Key: m.Key, Keeper: a.keeperOf(m)})
		embedder = first
	}
	if err != nil {
		return nil, nil, err
	}
	if first != nil {
		a.tenants = append(a.tenants, first)
	}
	switch m := cfg.LLM; m.Provider {
	case "none":
	case "openai":
		generator, err = openai.NewGenerator(openai.Config{URL: m.URL, Model: m.Model, Key: m.Key, Context: cfg.Answer.Context})
	default:
		g, failed := ollama.NewGenerator(ollama.Config{URL: m.URL, Model: m.Model, Key: m.Key, Context: cfg.Answer.Context, Keeper: a.keeperOf(m)})
		if failed != nil {
			return nil, nil, failed
		}
		if first != nil {
			g.After(first)
		}
		a.tenants = append(a.tenants, g)
		generator = g
	}
	return embedder, generator, err
}

// keeperOf is nil for a model that is not planned: its engine decides where it computes.
func (a *app) keeperOf(m ModelConfig) *hwplan.Keeper {
	if !m.planned() {
		return nil
	}
	return a.keeper
}

// run does what runs beside every command: vectors, and the care for the models' memory.
func (a *app) run(g *errgroup.Group, ctx context.Context) {
	g.Go(func() error { return a.index.Run(ctx) })
	for _, t := range a.tenants {
		g.Go(func() error { return t.Run(ctx) })
	}
}

// loadModels loads the models that stay loaded, so that the first question need not wait.
func (a *app) loadModels(ctx context.Context) {
	for _, t := range a.tenants {
		t.Load(ctx)
	}
}

func (c *Config) embedderName() string {
	if c.Embedder.Provider == "none" {
		return ""
	}
	return c.Embedder.Model
}
