package answer

import (
	"slices"
	"strings"
	"testing"
)

// gated runs an answer through a gate in pieces of n characters and returns what came out before its end.
func gated(answer string, n int) (early, rest string, refused bool) {
	g := gate{backed: func(string) bool { return true }}
	for piece := range slices.Chunk([]rune(answer), n) {
		early += g.Write(string(piece))
	}
	rest, refused = g.Close()
	return early, rest, refused
}

func TestRefusals(t *testing.T) {
	for answer, want := range map[string]bool{
		noAnswer[es]: true, noAnswer[en]: true,
		"no encuentro la respuesta en los documentos":                                      true,
		"Lo siento, no he encontrado información sobre eso en los pasajes.":                true,
		"Los documentos no mencionan la duración del vuelo.":                               true,
		"Los pasajes proporcionados no contienen esa información. Consulte al proveedor.":  true,
		"No se menciona en los documentos quién ganó el mundial.":                          true,
		"No hay información sobre el vuelo de Madrid a Tokio.":                             true,
		"Ninguno de los pasajes habla de ajedrez.":                                         true,
		"No puedo responder a esa pregunta.":                                               true,
		"[2] No encuentro la respuesta en los documentos [2].":                             true,
		"I could not find any information about that in the passages.":                     true,
		"I’m sorry, but I can’t find the answer in the documents.":                         true,
		"The passages do not mention tungsten.":                                            true,
		"The provided text doesn't say.":                                                   true,
		"There is no information about that.":                                              true,
		"The answer is not found in the documents.":                                        true,
		"None of the passages mention it.":                                                 true,
		"Lo siento. Los documentos no mencionan eso.":                                      true,
		"I'm sorry. The passages do not mention it.":                                       true,
		"Según los documentos proporcionados, no se especifica el color.":                  true,
		"According to the documents, there is no information about it.":                    true,
		"There is no mention of tungsten in the passages [1].":                             true,
		"No hay ninguna mención al vuelo a Tokio en los documentos [1].":                   true,
		"According to the information provided, the lift is not available on Sundays [1].": false,
		"According to the information provided, the lift is not available on Sundays.":     false,
		"Según los documentos, el precio de los equipos no incluye el IVA.":                false,
		"De acuerdo con el texto, la biblioteca no ofrece servicio en agosto.":             false,
		"No hay ninguna mención al vuelo.":                                                 true,
		"No existe ninguna referencia catastral para la finca [1].":                        false,
		"No hay datos personales en el registro [1].":                                      false,
		"Según los documentos [1], no se especifica.":                                      false,
		"Lo siento. La obra la dirige Marta [1].":                                          false,
		"No, la garantía no incluye la mano de obra [1].":                                  false,
		"No se puede entrar en agosto [2].":                                                false,
		"No hay penalización según el contrato [1].":                                       false,
		"El documento no incluye el IVA [2].":                                              false,
		"Ningún documento puede salir de la biblioteca [1].":                               false,
		"La información del IVA está en el anexo [1].":                                     false,
		"The documents are kept for five years [3].":                                       false,
		"No. The dome stays open [1].":                                                     false,
		"I":                                                                                false,
		"Los documentos no dicen la fecha. Sin embargo, el plazo es de 45 días [1].":       false,
		"The passages do not mention it. " + strings.Repeat("Yet there is much to say about all kinds of other things here. ", 10): false,
		"Dura tres años [1].": false,
	} {
		for _, n := range []int{1, 7, 1000} {
			early, rest, refused := gated(answer, n)
			if refused != want || !refused && early+rest != answer || refused && early != "" {
				t.Errorf("%q: refused %v, came out as %q, then %q", answer, refused, early, rest)
				break
			}
		}
	}
}

// An answer is held back only until it is seen to come from the passages, and to be no refusal.
func TestGateStreams(t *testing.T) {
	for answer, want := range map[string]string{
		"La garantía [1] y":           "", // what of it?
		"La garantía [1]. Y":          "La garantía [1]. ",
		"La garantía. [1]":            "La garantía. ",
		"La garantía.[1]":             "La garantía.[1]",
		"Según el contrato:\nY":       "",
		"**Precio:**\nY":              "",
		"El Sr. García, D. Juan y":    "",
		"Se descuenta el 0,5 %. Y":    "Se descuenta el 0,5 %. ",
		"**Sr. García":                "",
		"EE. UU. firmó en los 90. Y":  "EE. UU. firmó en los 90. ",
		"[1] La garantía.\nD":         "[1] La garantía.\n",
		"Tres años. Y":                "Tres años. ",
		"«Tres años.» Y":              "«Tres años.» ",
		"**Tres años?!** Y":           "**Tres años?!** ",
		"三年。Y":                        "三年。",
		"三年？Y":                        "三年？",
		"Tres… Y":                     "Tres… ",
		"Tres\nY":                     "Tres\n",
		"Son 45.900":                  "",
		"[1]":                         "",
		"Tres años.":                  "", // and a half, perhaps
		"No hay [1]":                  "",
		"Los documentos [1]":          "",
		"Los documentos no dicen [1]": "",
	} {
		early := ""
		g := gate{backed: func(string) bool { return true }}
		for _, r := range answer {
			if early = g.Write(string(r)); early != "" {
				break
			}
		}
		if early != want {
			t.Errorf("%q: %q came out first, want %q", answer, early, want)
		}
	}
	for name, c := range map[string]struct {
		pieces []string
		want   []string // what has come out after each piece
	}{
		"cited":           {[]string{"La garantía es ", "larga y completa", " [2]", ".", " Y cubre ", "más"}, []string{"", "", "", "", "La garantía es larga y completa [2]. Y cubre", "La garantía es larga y completa [2]. Y cubre más"}},
		"cited first":     {[]string{"[2]", " La garantía ", "es larga y completa", ".", " Y"}, []string{"", "", "", "", "[2] La garantía es larga y completa. Y"}},
		"cited late":      {[]string{"La garantía es ", "larga y completa", ".", " [2]", "\n"}, []string{"", "", "", "La garantía es larga y completa. [2]", "La garantía es larga y completa. [2]"}},
		"cites a lead-in": {[]string{"Según el contrato [2]", ", Armstrong llegó a la Luna en 1969", ". ", "Y"}, []string{"", "", "", ""}},
		"cites by lines":  {[]string{"Según el contrato [2]\n", "Armstrong llegó a la Luna en 1969", ". ", "Y"}, []string{"", "", "", ""}},
		"too short":       {[]string{"Según el punto 1. ", "El Sr. Armstrong llegó a la Luna"}, []string{"", ""}},
		"a false figure":  {[]string{"[2] La garantía ", "dura 30 años", ".\n"}, []string{"", "", ""}},
		"not a passage's": {[]string{"La garantía ", "es larga [9]", ". Y ", "cubre"}, []string{"", "", "", ""}},
		"backed":          {[]string{"La garantía dura tres ", "años", ". ", "Y "}, []string{"", "", "", "La garantía dura tres años. Y"}},
		"not backed":      {[]string{"París es la capital ", "de Francia", ". ", "Y no lo dice nadie."}, []string{"", "", "", ""}},
	} {
		s := &session{yield: func(Event, error) bool { return true }, passages: []passage{{N: 1, Text: library}, {N: 2, Text: contract}}, asked: "¿Cuánto dura la garantía?"}
		w := newWriter(s, len(s.passages))
		for i, piece := range c.pieces {
			if err := w.pass(w.citer.Write(piece)); err != nil || strings.TrimRight(string(w.text), " ") != strings.TrimRight(c.want[i], " ") {
				t.Errorf("%s: %q after %q, want %q (%v)", name, w.text, piece, c.want[i], err)
			}
		}
	}
}
