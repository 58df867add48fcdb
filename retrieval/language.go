package retrieval

import (
	"strings"

	"github.com/abadojack/whatlanggo"
)

// longText is the number of words from which a text is long enough to be told from any language.
const longText = 40

// sample is how much of a text, in bytes, is looked at.
const sample = 8 << 10

// DetectLanguage returns the language of text as ISO 639-1 code, "" when
// unsure. A short text is only told to be Spanish or English, by the words and
// letters that only one of them has.
func DetectLanguage(text string) string {
	if len(text) > sample {
		text = strings.ToValidUTF8(text[:sample], "")
	}
	n := len(strings.Fields(text))
	es, en := cues(text)
	if n >= longText {
		if info := whatlanggo.Detect(text); info.IsReliable() {
			return info.Lang.Iso6391()
		}
	}
	switch {
	case es > en:
		return "es"
	case en > es:
		return "en"
	case n < 2:
		return ""
	}
	info := whatlanggo.DetectWithOptions(text, whatlanggo.Options{Whitelist: map[whatlanggo.Lang]bool{whatlanggo.Spa: true, whatlanggo.Eng: true}})
	if es+en == 0 && info.Confidence < 0.2 {
		return ""
	}
	return info.Lang.Iso6391()
}

// cues counts what tells Spanish from English: function words, and letters and signs that English lacks.
func cues(text string) (es, en int) {
	es = 2 * strings.Count(text, "¿")
	es += 2 * strings.Count(text, "¡")
	lower := strings.ToLower(text)
	es += 2 * strings.Count(lower, "ñ")
	for _, accented := range []string{"á", "é", "í", "ó", "ú"} {
		es += strings.Count(lower, accented)
	}
	for _, w := range words(text) {
		switch {
		case spanishWords[w.text]:
			es++
		case englishWords[w.text]:
			en++
		}
	}
	return es, en
}

// The commonest words that are a word in only one of the two languages.
var (
	spanishWords = setOf(`el la los las de del que y en un una por con para se su sus al lo es son fue como mas cuando cual cuanto cuantos donde quien
		esta este estos estas entre desde hasta sobre segun ha han hay sin pero cada dias`)
	englishWords = setOf(`the of and to in is are was were for on with that this these those by from at as it its be been what when where which who how
		does did do has have had not or an must will can`)
)
