package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/spf13/cobra"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/retrieval/ollama"
	"github.com/acervo-kb/acervo/retrieval/openai"
)

// A finding is what doctor says of one part.
type finding struct {
	Part    string `json:"part"`
	State   string `json:"state"` // ok, missing (works without) or broken
	Message string `json:"message"`
	Mend    string `json:"mend,omitempty"` // a command, or what to do
}

// States of a part.
const (
	ok      = "ok"
	missing = "missing"
	broken  = "broken"
)

func doctorCommand(o *overrides) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check every part, and say what is missing and how to mend it",
		Long:  "Checks every part. Exit code 1 only if something that is needed is broken; without model servers everything but writing answers works.",
		Args:  takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(*o)
			if err != nil {
				return err
			}
			found := examine(cmd.Context(), o, cfg)
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), map[string]any{"findings": found})
			} else {
				printFindings(cmd.OutOrStdout(), found)
			}
			for _, f := range found {
				if f.State == broken && err == nil {
					return errSaid
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printFindings(out io.Writer, found []finding) {
	for _, f := range found {
		fmt.Fprintf(out, "%-8s %-10s %s\n", f.State, f.Part, f.Message)
		if f.Mend != "" {
			fmt.Fprintf(out, "%-19s → %s\n", "", f.Mend)
		}
	}
}

func examine(ctx context.Context, o *overrides, cfg Config) []finding {
	return append([]finding{
		checkFolder("folder", cfg.Docs, 0o755), checkFolder("data", cfg.Data, 0o700), checkSpace(cfg.Data), checkHardware(ctx, cfg),
		checkReader(ctx, cfg), checkLibrary(ctx, o),
		checkModel(ctx, "writer", cfg.LLM, "answers quote the best passages instead of being written"),
		checkModel(ctx, "embedder", cfg.Embedder, "search is by words only"),
	}, checkPerception(ctx, cfg)...)
}

// checkFolder makes sure that a directory is there and can be written to.
func checkFolder(part, dir string, mode os.FileMode) finding {
	f := finding{Part: part, State: broken, Mend: "choose another with --docs or --data, or give yourself the right to write there"}
	if err := os.MkdirAll(dir, mode); err != nil {
		f.Message = err.Error()
		return f
	}
	probe, err := os.CreateTemp(dir, ".acervo-doctor-*")
	if err != nil {
		f.Message = err.Error()
		return f
	}
	_ = probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		f.Message = err.Error()
		return f
	}
	return finding{Part: part, State: ok, Message: dir}
}

// lowSpace is when the disk is said to be nearly full.
const lowSpace = 1 << 30

func checkSpace(dir string) finding {
	usage, err := disk.Usage(dir)
	if err != nil {
		return finding{Part: "disk", State: missing, Message: "the free space is not known: " + err.Error()}
	}
	message := fmt.Sprintf("%.1f GB free", float64(usage.Free)/1e9)
	if usage.Free < lowSpace {
		return finding{Part: "disk", State: broken, Message: message, Mend: "make room, or move the data directory with --data"}
	}
	return finding{Part: "disk", State: ok, Message: message}
}

// checkHardware tells where models compute, and why not on a GPU.
func checkHardware(ctx context.Context, cfg Config) finding {
	plan, err := makePlan(ctx, cfg, hwplan.Description{})
	if err != nil {
		return finding{Part: "hardware", State: missing, Message: "there is no plan: " + err.Error()}
	}
	f := finding{Part: "hardware", State: ok, Message: headline(plan)}
	if plan.GPU.TotalBytes == 0 {
		detector := hwplan.NewDetector(cfg.Data)
		defer func() { _ = detector.Close() }() // nothing is written
		if notes := detector.Read(ctx).Notes; len(notes) > 0 {
			f.Message = strings.TrimSuffix(f.Message, ".") + ": " + strings.Join(notes, "; ")
		}
	}
	if !plan.Fits || len(plan.Warnings) > 0 {
		f.State, f.Mend = missing, "acervo plan says more"
	}
	return f
}

// checkReader has a worker process read a small file.
func checkReader(ctx context.Context, cfg Config) finding {
	f := finding{Part: "reader", State: broken, Mend: "this is a fault of Acervo or of its installation: run `acervo worker` by hand to see what it says"}
	dir, err := os.MkdirTemp("", "acervo-doctor-")
	if err != nil {
		f.Message = err.Error()
		return f
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left in the temporary directory harms nobody
	if err := os.WriteFile(filepath.Join(dir, "probe.md"), []byte("# Acervo\n\nlee"), 0o600); err != nil {
		f.Message = err.Error()
		return f
	}
	pool, err := newPool(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Message = err.Error()
		return f
	}
	start := time.Now()
	_, err = pool.Parse(ctx, dir, "probe.md", func(int, int, string) {})
	if closed := pool.Close(); err == nil {
		err = closed
	}
	if err != nil {
		f.Message = err.Error()
		return f
	}
	return finding{Part: "reader", State: ok, Message: fmt.Sprintf("documents are read in a process of their own (answered in %s)", time.Since(start).Round(time.Millisecond))}
}

// checkLibrary opens the data, or asks the server that has it open, and counts.
func checkLibrary(ctx context.Context, o *overrides) finding {
	var docs []ingest.Document
	where := "no server is running"
	err := with(ctx, o, looking, func(c *client) (err error) {
		if c.base != localBase {
			where = "a server is running at " + c.base
		}
		docs, err = c.documents(ctx, nil)
		return err
	})
	if err != nil {
		return finding{Part: "library", State: broken, Message: err.Error(), Mend: "acervo verify --repair"}
	}
	failed := 0
	for _, d := range docs {
		if d.Status == ingest.Failed {
			failed++
		}
	}
	f := finding{Part: "library", State: ok, Message: fmt.Sprintf("%d documents, %d of them could not be read; %s", len(docs), failed, where)}
	if failed > 0 {
		f.Mend = "acervo list --status failed"
	}
	return f
}

// checkModel asks a model server for its model.
func checkModel(ctx context.Context, part string, m ModelConfig, without string) finding {
	if m.Provider == "none" {
		return finding{Part: part, State: missing, Message: "none is configured: " + without}
	}
	var message, mend string
	var err error
	if m.Provider == "openai" {
		err = openai.Check(ctx, openai.Config{URL: m.URL, Model: m.Model, Key: m.Key}).Err
		message = fmt.Sprintf("%s at %s", m.Model, m.URL)
		mend = "start the model server, or name another with --set"
	} else {
		s := ollama.Check(ctx, ollama.Config{URL: m.URL, Model: m.Model, Key: m.Key})
		err, mend = s.Err, s.Mend
		message = fmt.Sprintf("%s at %s (Ollama %s)%s", m.Model, m.URL, s.Version, map[bool]string{true: ", loaded"}[s.Loaded])
	}
	if err != nil {
		return finding{Part: part, State: missing, Message: strings.TrimSuffix(err.Error(), ".") + ": " + without, Mend: mend}
	}
	return finding{Part: part, State: ok, Message: message}
}
