package ingest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSentenceRules has one text a line; a bar stands where a sentence ends.
func TestSentenceRules(t *testing.T) {
	for _, line := range []string{
		"El Sr. García llegó a las 3 p. m. a EE. UU. con la Dra. Pérez.|Luego se fue.",
		"La firma D.ª Begoña Ibáñez Muñoz.|¿Quién responde?|El proveedor, Tecnologías Ñandú, S. L., responde.",
		"Véase el art. 5 de la ley.|El contrato n.º 2031/B asciende a 1.250,75 €.|Fin.",
		"Según la pág. 34, cap. 2, hay tres años.|No hay más.",
		"¿Vienes?|¡Sí!|Ahora mismo.",
		"Don José dijo: «No lo sé.»|Después calló.",
		"Compró pan, leche, etc., y volvió.|Era tarde.",
		"Mr. Smith met Mrs. Jones at 5 p.m. on Friday.|They talked.",
		"The U.S. Army was there.|It left in 1990.",
		"He said no.|Then he left.",
		"No. 5 is alive.|He is well.",
		"See Fig. 3 and Sec. 4.2 for details, e.g. the size, i.e. 12.|The rest is clear.",
		"Dr. J. R. R. Tolkien wrote it.|It sold well.",
		`"Are you sure?" she asked.|"Yes."|He nodded.`,
		"It costs $3.50.|That is cheap!",
		"1. Primer punto del orden del día.|Se aprueba.",
		"Esto es así...|Y punto.",
		"Esto es... digamos, raro.|Sí.",
		"The vote was 5-4.|2019 was a bad year.",
		"Vive en la C/ Mayor, núm. 5, 3.º izda.|Tiene perro.",
		"El Excmo. Sr. D. Juan Pérez firmó.|El acta consta.",
		"Cf. Smith et al. 2019 for a review.|We follow it.",
		"Ocurrió en el siglo V a. C. en Grecia.|Fue importante.",
		"Llegó el 5 de ene. de 2020.|Nadie lo vio.",
		"El coste (véase la tabla 3.) es alto.|Se revisará.",
		"Las Sras. Ruiz y López, p. ej., asistieron, o D. Luis vs. Vd. mismo.|Otras no.",
		"Vive en la Avda. de América.|Es de Acme Ltd. desde 2010.",
		"東京は大きい。|人が多い。",
		"a line without a stop\n\n|and another\nwrapped line",
	} {
		text := strings.ReplaceAll(line, "|", " ")
		var got []string
		for _, r := range sentences(text) {
			got = append(got, strings.TrimSpace(text[r[0]:r[1]]))
		}
		var want []string
		for s := range strings.SplitSeq(line, "|") {
			want = append(want, strings.TrimSpace(s))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSentencesLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("aA1.!?…。\n )»\"ñ½"))).Draw(t, "s")
		end := 0
		for _, r := range sentences(s) {
			if r[0] != end || r[1] <= r[0] {
				t.Fatalf("%q: range %v behind %d", s, r, end)
			}
			end = r[1]
		}
		if end != len(s) {
			t.Fatalf("%q: %d of %d bytes", s, end, len(s))
		}
	})
}
