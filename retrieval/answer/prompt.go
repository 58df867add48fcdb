package answer

import (
	"crypto/rand"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/acervo-kb/acervo/retrieval"
)

//go:embed prompt.tmpl
var promptSource string

var promptTemplate = template.Must(template.New("prompt").Parse(promptSource))

// A prompt is what the wording in prompt.tmpl is filled with.
type prompt struct {
	Language string
	Question string
	Marker   string // fences the passages; nobody who wrote a document can know it
	Passages []passage
	History  []Message
	NoAnswer string
	Again    bool // it was asked before, and answered without a word
}

// newMarker is a fence that differs with every request.
func newMarker() string { return rand.Text()[:8] }

// messages are what the model is sent. The passages have a message of their own, which the
// assistant has "read": small models answer better so than with all in one message, and
// strict chat templates want the roles to alternate.
func (p prompt) messages() []Message {
	out := make([]Message, 0, len(p.History)+4)
	out = append(out, Message{System, p.render("system")})
	out = append(out, p.History...)
	return append(out,
		Message{User, p.render("passages")},
		Message{Assistant, p.render("ready")},
		Message{User, p.render("question")})
}

func (p prompt) render(name string) string {
	p.NoAnswer = noAnswer.in(p.Language)
	var b strings.Builder
	if err := promptTemplate.ExecuteTemplate(&b, name+"."+p.Language, p); err != nil {
		panic(err) // the template is part of the program; every definition of it is tested
	}
	return b.String()
}

// bracketed matches a number in brackets within a passage, as in a list of references: echoed
// by the model it would look like one of our citations.
var bracketed = regexp.MustCompile(`[\[【［]([^\[\]【】［］\n]{1,24})[\]】］]`)

// defuse takes from a document's text what could end its fence or pass for a citation.
func defuse(text, marker string) string {
	for strings.Contains(text, marker) {
		text = strings.ReplaceAll(text, marker, "")
	}
	return bracketed.ReplaceAllStringFunc(text, func(m string) string {
		inside := bracketed.FindStringSubmatch(m)[1]
		if _, is := markNumbers(inside); !is {
			return m
		}
		return "(" + inside + ")"
	})
}

// place says where a hit stands, for the model: title, headings, page.
func place(h retrieval.Hit, language string) string {
	parts := []string{h.Source.Title}
	for _, heading := range h.Chunk.Heading {
		if heading != h.Source.Title {
			parts = append(parts, heading)
		}
	}
	l := h.Chunk.Location
	switch l.Kind {
	case "page":
		parts = append(parts, fmt.Sprintf(phrase{es: "página %d", en: "page %d"}.in(language), l.Page))
	case "slide":
		parts = append(parts, fmt.Sprintf(phrase{es: "diapositiva %d", en: "slide %d"}.in(language), l.Slide))
	case "time":
		parts = append(parts, fmt.Sprintf("%d:%02d", int(l.StartS)/60, int(l.StartS)%60))
	case "cells":
		parts = append(parts, strings.TrimSpace(l.Sheet+" "+l.Range))
	}
	return strings.Join(strings.Fields(strings.Join(parts, " > ")), " ")
}
