package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// with runs f over a client of the data, and ends what the client started.
func with(ctx context.Context, o *overrides, w work, f func(*client) error) (err error) {
	c, stop, err := connect(ctx, o, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return f(c)
}

// printJSON writes v as indented JSON.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func addCommand(o *overrides) *cobra.Command {
	var collection string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "add FILE...",
		Short:   "Copy files into the folder and wait until they are searchable",
		Example: "  acervo add contract.pdf --collection legal",
		Args:    takes(1, -1, "at least one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, path := range args {
				if info, err := os.Stat(path); err != nil {
					return fmt.Errorf("cannot add %s: %w", path, errors.Unwrap(err))
				} else if !info.Mode().IsRegular() {
					return fmt.Errorf("cannot add %s: it is not a file", path)
				}
			}
			return with(cmd.Context(), o, changing, func(c *client) error {
				docs, err := c.upload(cmd.Context(), collection, args)
				if err != nil {
					return err
				}
				work := newWorkLine(cmd.ErrOrStderr())
				for i, d := range docs {
					if docs[i], err = c.settled(cmd.Context(), d.ID, work.show); err != nil {
						return err
					}
				}
				work.clear()
				return showDocuments(cmd, docs, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&collection, "collection", "", "the collection: a first-level `subfolder`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the documents as JSON")
	return cmd
}

// showDocuments prints documents; one that failed makes the command fail.
func showDocuments(cmd *cobra.Command, docs []ingest.Document, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), map[string]any{"documents": docs})
	} else {
		err = documentTable(cmd.OutOrStdout(), docs)
	}
	for _, d := range docs {
		if d.Status == ingest.Failed {
			return errors.Join(err, errSaid)
		}
	}
	return err
}

func listCommand(o *overrides) *cobra.Command {
	var collection, status, text string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the documents and their state",
		Long:  "Shows every document with its state; for one that failed, why, and what to do.",
		Args:  takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd.Context(), o, looking, func(c *client) error {
				filter := url.Values{}
				for key, value := range map[string]string{"collection": collection, "status": status, "q": text} {
					if value != "" {
						filter.Set(key, value)
					}
				}
				docs, err := c.documents(cmd.Context(), filter)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]any{"documents": docs})
				}
				return documentTable(cmd.OutOrStdout(), docs)
			})
		},
	}
	cmd.Flags().StringVar(&collection, "collection", "", "only this collection")
	cmd.Flags().StringVar(&status, "status", "", "only this state: queued, working, ready, partial, failed or removed")
	cmd.Flags().StringVar(&text, "match", "", "only those whose title or path holds this text")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// documentTable prints a line a document, and below it what is wrong with it.
func documentTable(out io.Writer, docs []ingest.Document) error {
	if len(docs) == 0 {
		_, err := fmt.Fprintln(out, "no documents")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATE\tCHUNKS\tVECTORS\tPATH")
	for _, d := range docs {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", d.ID[:min(12, len(d.ID))], state(d), d.Chunks, d.Embedded, strings.Join(quoted(d.Paths), ", "))
		if d.Error != nil {
			fmt.Fprintf(table, "\t└ %s\t\t\t%s\n", d.Error.Code, d.Error.Message)
		}
	}
	return table.Flush()
}

// state is a document's status, or how far the work on it has come: "OCR 12/40, about 3 min left".
func state(d ingest.Document) string {
	p, stage := d.Progress, d.Stage
	if stage == "ocr" {
		stage = "OCR"
	}
	if p == nil || p.Total == 0 {
		return cmp.Or(stage, string(d.Status))
	}
	far := fmt.Sprintf("%s %d/%d", stage, p.Done, p.Total)
	if p.Unit == "s" {
		far = fmt.Sprintf("%s %s/%s", stage, ingest.Clock(float64(p.Done)), ingest.Clock(float64(p.Total)))
	}
	switch {
	case p.Waits == parse.ForTurn:
		return far + ", waits for its turn"
	case p.Waits == parse.ForRest:
		return far + ", waits while the machine rests"
	case p.LeftS > 0 && p.LeftS < 60:
		return far + ", less than 1 min left"
	case p.LeftS > 0:
		return far + ", about " + roughly(p.LeftS) + " left"
	}
	return far
}

// roughly writes a time in seconds as nobody can tell it more exactly: "1 min", "2 h 5 min".
func roughly(seconds float64) string {
	minutes := int(math.Ceil(seconds / 60))
	if minutes < 60 {
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
}

// quoted makes file names safe to show on a terminal: one that holds control characters is quoted.
func quoted(paths []string) []string {
	shown := make([]string, len(paths))
	for i, p := range paths {
		shown[i] = p
		if q := fmt.Sprintf("%q", p); q != `"`+p+`"` {
			shown[i] = q
		}
	}
	return shown
}

func rmCommand(o *overrides) *cobra.Command {
	return &cobra.Command{
		Use:     "rm DOCUMENT...",
		Short:   "Move documents to the trash and out of the index",
		Long:    "Moves documents, named by id or path, to the trash in the data directory. No question is asked; POST /api/v1/documents/ID/restore undoes it.",
		Example: "  acervo rm legal/contract.pdf",
		Args:    takes(1, -1, "at least one id or path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), o, looking, func(c *client) error {
				docs, err := c.find(cmd.Context(), args)
				if err != nil {
					return err
				}
				for _, d := range docs {
					if err := c.call(cmd.Context(), http.MethodDelete, "/api/v1/documents/"+d.ID, nil, nil); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", strings.Join(quoted(d.Paths), ", "))
				}
				return nil
			})
		},
	}
}

func retryCommand(o *overrides) *cobra.Command {
	var anew bool
	cmd := &cobra.Command{
		Use:   "retry DOCUMENT...",
		Short: "Try documents that failed once more",
		Long: "Tries documents, named by id or path, once more and waits for the outcome: what could not be read of them, or was\n" +
			"recognised badly. With --anew all of them is read once more, with the engines, languages and models of now.",
		Args: takes(1, -1, "at least one id or path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), o, changing, func(c *client) error {
				docs, err := c.find(cmd.Context(), args)
				if err != nil {
					return err
				}
				work := newWorkLine(cmd.ErrOrStderr())
				for i, d := range docs {
					if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/documents/"+d.ID+"/retry?anew="+strconv.FormatBool(anew), struct{}{}, nil); err != nil {
						return err
					}
					if docs[i], err = c.settled(cmd.Context(), d.ID, work.show); err != nil {
						return err
					}
				}
				work.clear()
				return showDocuments(cmd, docs, false)
			})
		},
	}
	cmd.Flags().BoolVar(&anew, "anew", false, "read everything once more, also what was read well")
	return cmd
}
