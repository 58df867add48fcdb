package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/acervo-kb/acervo/ingest"
)

func syncCommand(o *overrides) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Bring the index level with the folder once",
		Long: "Reads what is new or changed in the folder, drops what is gone, and ends when all of it is searchable by its words.\n" +
			"Vectors follow while a server runs. Exit code 1 if a document could not be read.",
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd.Context(), o, looking, func(c *client) error {
				bar := newProgress(cmd.ErrOrStderr())
				var summary ingest.Summary
				err := c.stream(cmd.Context(), "/api/v1/sync", struct{}{}, func(event string, data []byte) error {
					switch event {
					case "document":
						return bar.event(data)
					case "done":
						return json.Unmarshal(data, &summary)
					case "error":
						return asProblem(data)
					}
					return nil
				})
				bar.end()
				if err != nil {
					return err
				}
				return showSummary(cmd.OutOrStdout(), summary, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return cmd
}

func showSummary(out io.Writer, s ingest.Summary, asJSON bool) error {
	if asJSON {
		if err := printJSON(out, s); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%d indexed, %d unchanged, %d removed, %d failed\n", s.Indexed, s.Unchanged, s.Removed, len(s.Failed))
		for _, d := range s.Failed {
			fmt.Fprintf(out, "  %s: %s\n", strings.Join(quoted(d.Paths), ", "), d.Error.Message)
		}
	}
	if len(s.Failed) > 0 {
		return errSaid
	}
	return nil
}

// progress shows how far a sync has come: documents at their end, of those seen. It is silent where stderr is no terminal.
type progress struct {
	bar  *progressbar.ProgressBar
	seen map[string]bool // by id: at its end
}

func newProgress(stderr io.Writer) *progress {
	p := &progress{seen: map[string]bool{}}
	if terminal(stderr) {
		p.bar = progressbar.NewOptions(1, progressbar.OptionSetWriter(stderr), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("documents"), progressbar.OptionSetElapsedTime(true),
			progressbar.OptionSetPredictTime(false), // one document can take longer than all others: each says its own
			progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("documents"))
	}
	return p
}

func (p *progress) event(data []byte) error {
	if p.bar == nil {
		return nil
	}
	var d ingest.Document
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	p.seen[d.ID] = d.Status != ingest.Queued && d.Status != ingest.Working
	if d.Progress != nil && (d.Stage == "ocr" || d.Stage == "speech") { // the stages that take long
		p.bar.Describe(shorten(quoted([]string{d.Title})[0], 30) + ": " + state(d))
	}
	done := 0
	for _, ended := range p.seen {
		if ended {
			done++
		}
	}
	p.bar.ChangeMax(max(1, len(p.seen)))
	return p.bar.Set(done)
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear() // a terminal that went away is no reason to fail
	}
}

// A workLine shows on one line how the work on a document goes. It is silent where stderr is no terminal.
type workLine struct {
	out   io.Writer // nil: silent
	shown string
}

func newWorkLine(stderr io.Writer) *workLine {
	if !terminal(stderr) {
		stderr = nil
	}
	return &workLine{out: stderr}
}

func (l *workLine) show(d ingest.Document) {
	if line := shorten(quoted([]string{d.Title})[0], 30) + ": " + state(d); l.out != nil && line != l.shown {
		l.shown = line
		fmt.Fprint(l.out, "\r\x1b[K"+line)
	}
}

func (l *workLine) clear() {
	if l.shown != "" {
		fmt.Fprint(l.out, "\r\x1b[K")
	}
}

// terminal reports whether w is the program's stderr, and a terminal.
func terminal(w io.Writer) bool { return w == os.Stderr && term.IsTerminal(int(os.Stderr.Fd())) }

func verifyCommand(o *overrides) *cobra.Command {
	var repair, asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that folder, ledger and index agree",
		Long:  "Reads every file again and compares folder, ledger and index. Exit code 1 if they differ. --repair mends what differs.",
		Args:  takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd.Context(), o, looking, func(c *client) error {
				var answer struct {
					Problems []string `json:"problems"`
					Repaired bool     `json:"repaired"`
				}
				err := c.call(cmd.Context(), http.MethodPost, "/api/v1/verify", map[string]bool{"repair": repair}, &answer)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				switch {
				case asJSON:
					err = printJSON(out, answer)
				case len(answer.Problems) == 0:
					fmt.Fprintln(out, "folder, ledger and index agree")
				default:
					for _, p := range answer.Problems {
						fmt.Fprintln(out, p)
					}
				}
				if err == nil && len(answer.Problems) > 0 && !answer.Repaired {
					return errSaid
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "mend what differs")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
