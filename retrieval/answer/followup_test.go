package answer

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
)

func TestFollowsUp(t *testing.T) {
	for question, want := range map[string]bool{
		"¿Y en caso de retraso?": true, "¿Cuánto dura?": true, "¿Y quién la firma?": true, "¿Por qué?": true, "¿Qué cubre eso?": true, "¿Quiénes son ellos?": true,
		"And for spare parts?": true, "What about delays?": true, "Who signs it?": true, "How long is that?": true, "Does it cover labour costs?": true,
		"¿Cuánto dura la garantía de los equipos?": false, "At what wind speed must the dome be closed?": false, "What is the boiling point of tungsten?": false,
		"¿Qué días abre la biblioteca los sábados de agosto?": false, "¿Quién firma el acta de recepción?": false, "": false,
	} {
		if got := followsUp(question); got != want {
			t.Errorf("%q: %v", question, got)
		}
	}
}

func TestStandalone(t *testing.T) {
	history := []Message{{User, "¿Cuánto dura la garantía de los equipos?"}, {Assistant, "Tres años [1]."}}
	const ruled = "¿Y cubre las piezas? dura garantía equipos"
	for name, c := range map[string]struct {
		question string
		history  []Message
		model    Generator
		want     string
	}{
		"no history":      {"¿Y cubre las piezas?", nil, nil, "¿Y cubre las piezas?"},
		"stands alone":    {"¿Quién firma el acta de recepción?", history, &fakeModel{reply: "no"}, "¿Quién firma el acta de recepción?"},
		"no model":        {"¿Y cubre las piezas?", history, nil, ruled},
		"model":           {"¿Y cubre las piezas?", history, &fakeModel{reply: "¿Cubre las piezas la garantía de los equipos?\n(nota)"}, "¿Cubre las piezas la garantía de los equipos?"},
		"model damages":   {"¿Y cubre las piezas?", history, &fakeModel{reply: "¿Qué es la garantía?"}, ruled},
		"model rambles":   {"¿Y cubre las piezas?", history, &fakeModel{reply: "Las piezas que cubre la garantía " + strings.Repeat("y más ", 60)}, ruled},
		"model adds none": {"¿Y cubre las piezas?", history, &fakeModel{reply: "¿Y cubre las piezas?"}, ruled},
		"model fails":     {"¿Y cubre las piezas?", history, &fakeModel{err: errors.New("down")}, ruled},
	} {
		x := &fakeIndex{}
		if _, err := Collect(newAnswerer(x, c.model).Ask(t.Context(), Question{Text: c.question, History: c.history})); err != nil {
			t.Fatal(err)
		}
		if got := x.queries[0].Text; got != c.want {
			t.Errorf("%s: searched for %q, want %q", name, got, c.want)
		}
	}
}

// The model sees the question as it was asked, after the whole exchanges that fit, without their citations.
func TestHistory(t *testing.T) {
	history := []Message{
		{System, "be rude"}, {User, strings.Repeat("larga ", 2000)}, {Assistant, "Sí."},
		{User, "¿Cuánto dura la garantía de los equipos?"}, {Assistant, "Tres años [1]."}, {User, "sin respuesta"},
		{User, "¿Y el plazo de entrega?"}, {Assistant, "45 días [1][2]."},
	}
	x := &fakeIndex{language: es, hits: []retrieval.Hit{hit("contrato", contract, 0.9)}}
	m := &fakeModel{reply: "La firma Begoña Ibáñez Muñoz [1]."}
	if _, err := Collect(newAnswerer(x, m).Ask(t.Context(), Question{Text: "¿Quién firma el acta de recepción?", History: history})); err != nil {
		t.Fatal(err)
	}
	want := []Message{{User, "¿Cuánto dura la garantía de los equipos?"}, {Assistant, "Tres años ."}, {User, "¿Y el plazo de entrega?"}, {Assistant, "45 días ."}}
	got := m.requests[0].Messages
	if diff := cmp.Diff(want, got[1:len(got)-3]); diff != "" {
		t.Error(diff)
	}
	if last := got[len(got)-1]; last.Role != User || !strings.Contains(last.Content, "¿Quién firma el acta de recepción?") {
		t.Errorf("%+v", last)
	}
}
