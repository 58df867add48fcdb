package ingest

import "regexp"

// spanishWarnings are the warnings of a document, which readers write in English, in Spanish.
var spanishWarnings = []struct {
	english *regexp.Regexp
	spanish string
}{
	{regexp.MustCompile(`^1 hidden character removed$`), "se ha quitado 1 carácter oculto"},
	{regexp.MustCompile(`^(\d+) hidden characters removed$`), "se han quitado $1 caracteres ocultos"},
	{regexp.MustCompile(`^hidden text was left out$`), "se ha dejado fuera el texto oculto"},
	{regexp.MustCompile(`^nested too deep for Markdown: read as plain text$`), "demasiado anidado para ser Markdown: se ha leído como texto"},
	{regexp.MustCompile(`^read by (.+) with a low confidence of 0\.(\d+): page (.+)$`), "leído por $1 con poca seguridad (0,$2): página $3"},
	{regexp.MustCompile(`^the recording could not be read at (.+)$`), "la grabación no se ha podido leer en $1"},
	{regexp.MustCompile(`^(\d+) s of the recording were left out as not being speech$`), "se han dejado fuera $1 s de la grabación por no ser habla"},
	{regexp.MustCompile(`^only the first (\d+) of its (\d+) pages were read$`), "solo se han leído las $1 primeras páginas de $2"},
	{regexp.MustCompile(`^no speech was heard in the recording$`), "no se oye hablar a nadie en la grabación"},
}

// WarningIn is a document's warning in a language: es, or else English.
func WarningIn(lang, warning string) string {
	if lang != "es" {
		return warning
	}
	for _, w := range spanishWarnings {
		if w.english.MatchString(warning) {
			return w.english.ReplaceAllString(warning, w.spanish)
		}
	}
	return warning
}
