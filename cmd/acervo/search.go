package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/retrieval"
)

// foundDocument is a document as hits and citations name it.
type foundDocument struct {
	ID         string `json:"id"`
	Title      string `json:"title"`
	Path       string `json:"path"`
	Collection string `json:"collection"`
}

// place says in words where in its document a passage stands, and how it was read if it is not the file's own text.
func place(l retrieval.Location) string {
	where := spot(l)
	if r := l.Recognition; r.Engine != "" {
		done := "read"
		if l.Kind == "time" {
			done = "heard"
		}
		where += fmt.Sprintf(" (%s by %s, confidence %.2f)", done, r.Engine, r.Confidence)
	}
	return where
}

func spot(l retrieval.Location) string {
	switch l.Kind {
	case "page":
		return fmt.Sprintf("page %d", l.Page)
	case "time":
		return fmt.Sprintf("%s–%s", ingest.Clock(l.StartS), ingest.Clock(l.EndS))
	case "cells":
		return l.Sheet + " " + l.Range
	case "slide":
		return fmt.Sprintf("slide %d", l.Slide)
	}
	if l.Heading != "" {
		return l.Heading
	}
	return fmt.Sprintf("characters %d–%d", l.Start, l.End)
}

func searchCommand(o *overrides) *cobra.Command {
	var k int
	var collection, mode string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     `search "QUERY"`,
		Short:   "Show the passages that a query finds, with score and place",
		Example: "  acervo search \"plazo de garantía\" -k 5 --collection legal",
		Args:    takes(1, 1, "one QUERY (quote it)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), o, looking, func(c *client) error {
				body := map[string]any{"query": args[0], "k": k, "mode": mode}
				if collection != "" {
					body["collection"] = collection
				}
				var raw json.RawMessage
				if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/search", body, &raw); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), raw)
				}
				return printHits(cmd.OutOrStdout(), raw)
			})
		},
	}
	cmd.Flags().IntVarP(&k, "k", "k", 10, "how many passages")
	cmd.Flags().StringVar(&collection, "collection", "", "only this collection")
	cmd.Flags().StringVar(&mode, "mode", "hybrid", "hybrid, vector or lexical")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printHits shows each passage under a line that says where it stands.
func printHits(out io.Writer, raw json.RawMessage) error {
	var answer struct {
		Hits []struct {
			Document foundDocument      `json:"document"`
			Location retrieval.Location `json:"location"`
			Text     string             `json:"text"`
			Score    float64            `json:"score"`
		} `json:"hits"`
		Warnings []string `json:"warnings"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	if len(answer.Hits) == 0 {
		fmt.Fprintln(out, "nothing found")
	}
	for i, h := range answer.Hits {
		fmt.Fprintf(out, "%d. %s, %s  (%.2f)\n%s\n\n", i+1, quoted([]string{h.Document.Path})[0], place(h.Location), h.Score, indented(shorten(h.Text, 600)))
	}
	for _, w := range answer.Warnings {
		fmt.Fprintln(out, "note:", w)
	}
	return nil
}

// shorten squeezes white space and cuts a text for display at about n characters.
func shorten(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n]) + " …"
	}
	return text
}

func indented(text string) string { return "   " + strings.ReplaceAll(text, "\n", "\n   ") }
