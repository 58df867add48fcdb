package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acervo-kb/acervo/ingest"
)

func showCommand(o *overrides) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show DOCUMENT...",
		Short:   "Show what is known of documents: their state, and how each page was read",
		Example: "  acervo show legal/contract.pdf",
		Args:    takes(1, -1, "at least one id or path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), o, looking, func(c *client) error {
				docs, err := c.find(cmd.Context(), args)
				if err != nil {
					return err
				}
				for i, d := range docs {
					if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/documents/"+d.ID, nil, &docs[i]); err != nil {
						return err
					}
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]any{"documents": docs})
				}
				return showDetails(cmd.OutOrStdout(), docs)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// showDetails prints a paragraph a document, without the lines that say nothing of it.
func showDetails(out io.Writer, docs []ingest.Document) error {
	for i, d := range docs {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, quoted([]string{d.Title})[0])
		table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(table, "  %s\t%s\n", name, value)
			}
		}
		line("path", strings.Join(quoted(d.Paths), ", "))
		line("id", d.ID)
		line("state", state(d))
		line("kind", kind(d))
		line("passages", fmt.Sprintf("%d, %d of them with vectors", d.Chunks, d.Embedded))
		for _, r := range d.ReadBy {
			line("read by", readBy(r))
		}
		if d.Error != nil {
			line("problem", d.Error.Message)
			line("", d.Error.Detail)
		}
		for _, w := range d.Warnings {
			line("note", w)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// kind says of what type a document is, and how long.
func kind(d ingest.Document) string {
	facts := []string{d.MIME}
	if d.Pages > 0 {
		facts = append(facts, fmt.Sprintf("%d pages", d.Pages))
	}
	if d.DurationS > 0 {
		facts = append(facts, ingest.Clock(d.DurationS))
	}
	facts = append(facts, d.Language)
	return strings.Join(slices.DeleteFunc(facts, func(s string) bool { return s == "" }), ", ")
}

// readBy says which engine read what, how sure it was, and where least.
func readBy(r ingest.Reading) string {
	said := fmt.Sprintf("%s, %.0f %% sure", r.Engine, 100*r.Confidence)
	if len(r.Pages) == 0 {
		return said
	}
	pages := make([]int, len(r.Pages))
	for i, p := range r.Pages {
		pages[i] = p.Page
	}
	said = "page " + ingest.PageList(pages) + ": " + said
	if len(pages) > 1 {
		least := slices.MinFunc(r.Pages, func(a, b ingest.PageReading) int { return cmp.Compare(a.Confidence, b.Confidence) })
		said += fmt.Sprintf(", least of page %d (%.0f %%)", least.Page, 100*least.Confidence)
	}
	return said
}
