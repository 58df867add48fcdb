package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

// asked is what `ask` reads of an answer.
type asked struct {
	Mode      string `json:"mode"`
	Abstained bool   `json:"abstained"`
	Language  string `json:"language"`
	Citations []struct {
		N        int                `json:"n"`
		Document foundDocument      `json:"document"`
		Location retrieval.Location `json:"location"`
	} `json:"citations"`
	Warnings []string `json:"warnings"`
}

func askCommand(o *overrides) *cobra.Command {
	var k int
	var collection, chat string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     `ask "QUESTION"`,
		Short:   "Answer a question from the documents, with citations",
		Long:    "Answers a question from the documents, streamed, then lists the sources. With --chat NAME the questions of one conversation follow on each other.",
		Example: "  acervo ask \"¿Cuánto dura la garantía?\"\n  acervo ask --chat lease \"What is the rent?\" && acervo ask --chat lease \"And the deposit?\"",
		Args:    takes(1, 1, "one QUESTION (quote it)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), o, looking, func(c *client) error {
				body := map[string]any{"question": args[0], "k": k, "stream": true}
				if collection != "" {
					body["collection"] = collection
				}
				if chat != "" {
					body["chat_id"] = chat
				}
				out := cmd.OutOrStdout()
				return c.stream(cmd.Context(), "/api/v1/query", body, func(event string, data []byte) error {
					if asJSON {
						return onlyDone(out, event, data)
					}
					return show(out, event, data)
				})
			})
		},
	}
	cmd.Flags().IntVarP(&k, "k", "k", 6, "how many passages to answer from")
	cmd.Flags().StringVar(&collection, "collection", "", "only this collection")
	cmd.Flags().StringVar(&chat, "chat", "", "the conversation's `name`: letters, digits, - and _")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the whole answer as JSON, when it is complete")
	return cmd
}

// show prints one event of an answer as it comes.
func show(out io.Writer, event string, data []byte) error {
	switch event {
	case "token":
		var piece struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(data, &piece); err != nil {
			return err
		}
		_, err := io.WriteString(out, piece.Text)
		return err
	case "done":
		var a asked
		if err := json.Unmarshal(data, &a); err != nil {
			return err
		}
		showSources(out, a)
		return nil
	case "error":
		fmt.Fprintln(out)
		return asProblem(data)
	}
	return nil
}

// showSources prints what stands below an answer: how it was made, and from where.
func showSources(out io.Writer, a asked) {
	fmt.Fprintln(out)
	spanish := a.Language == "es"
	if a.Mode == answer.Extractive && !a.Abstained {
		if spanish {
			fmt.Fprintln(out, "\n(Citas literales: ningún modelo ha redactado esta respuesta.)")
		} else {
			fmt.Fprintln(out, "\n(Quoted: no model wrote this answer.)")
		}
	}
	if len(a.Citations) > 0 {
		fmt.Fprintln(out)
	}
	for _, c := range a.Citations {
		fmt.Fprintf(out, "[%d] %s, %s\n", c.N, quoted([]string{c.Document.Path})[0], place(c.Location))
	}
	for _, w := range a.Warnings {
		fmt.Fprintln(out, "note:", w)
	}
}

// onlyDone prints the whole answer and nothing before it.
func onlyDone(out io.Writer, event string, data []byte) error {
	switch event {
	case "done":
		return printJSON(out, json.RawMessage(data))
	case "error":
		return asProblem(data)
	}
	return nil
}

func asProblem(data []byte) error {
	p := &problem{}
	if err := json.Unmarshal(data, p); err != nil {
		return errors.New("the answer broke off")
	}
	return p
}
