package answer

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Bounds of the text held back at the start of a model's answer, in characters.
const (
	maxOpening  = 240 // of its first sentence, while it may turn out to be a refusal
	maxRefusal  = 480 // of all of it, likewise
	maxUnbacked = 600 // while nothing shows that it comes from the passages
)

// A gate holds back the start of a model's answer until it is seen to come
// from the passages, and for as long as the whole of it may be "the documents
// do not say": nobody must read what is then withdrawn. What passes does not
// depend on how the answer was cut into pieces.
type gate struct {
	backed func(said string) bool // whether the passages are seen to bear the beginning of an answer
	held   string
	judged int // bytes of held whose ends were judged
	open   bool
}

// judgeable matches where an answer may be judged: behind a sentence, the marks that follow it, a line.
var judgeable = regexp.MustCompile(`^\s*\[\d+\]|[.!?…]["'”’»)*_]*(?:\s|\[\d+\])|[。！？\n]`)

// endsInLetter tells what may be an abbreviation from a number or a sign: "0,5 %." ends a sentence.
var endsInLetter = regexp.MustCompile(`\pL$`)

// Write takes the next piece and returns what may pass.
func (g *gate) Write(piece string) string {
	if g.open {
		return piece
	}
	g.held += piece
	if utf8.RuneCountInString(g.held) < maxUnbacked && !g.judge() {
		return ""
	}
	g.open = true
	out := g.held
	g.held = ""
	return out
}

// judge goes on judging what is held, and reports whether it may pass.
func (g *gate) judge() bool {
	for {
		end := judgeable.FindStringIndex(g.held[g.judged:])
		if end == nil {
			return false
		}
		before := g.held[:g.judged+end[0]]
		g.judged += end[1]
		said := g.held[:g.judged]
		leadIn := strings.HasSuffix(strings.TrimRight(said, " \t\r\n*_"), ":")
		inside := said[len(before)] == '.' && endsInLetter.MatchString(before) && abbreviates(before)
		if !leadIn && !inside && !mayRefuse(said) && g.backed(said) {
			return true
		}
	}
}

// Close returns what is still held, or says that it is a refusal.
func (g *gate) Close() (rest string, refused bool) {
	first, after, _ := cutSentence(apology.ReplaceAllString(fold(g.held), ""))
	if mayRefuse(g.held) && refuses(first) && !citation.MatchString(after) {
		return "", true
	}
	return g.held, false
}

// citation matches a mark. After a refusal it shows that the model answers all the same.
var citation = regexp.MustCompile(`\[\s*\d{1,9}\s*\]`)

func mayRefuse(s string) bool {
	s = fold(s)
	if len(words(citation.ReplaceAllString(s, ""))) == 0 {
		return utf8.RuneCountInString(s) < maxOpening
	}
	if !opensRefusal(decoration.ReplaceAllString(s, "")) {
		return false
	}
	first, _, whole := cutSentence(apology.ReplaceAllString(s, ""))
	if !whole {
		return utf8.RuneCountInString(s) < maxOpening
	}
	return refuses(first) && utf8.RuneCountInString(s) < maxRefusal
}

// decoration is what may stand before the first word.
var decoration = regexp.MustCompile(`^(?:[\s"'«“*,.:]|\[\d*\]?)*`)

// apology is a sentence that may stand before the refusal.
var apology = regexp.MustCompile(`^\s*(?:lo siento(?: mucho)?|(?:i['’]m |i am )?sorry)[.!]\s+`)

// opensRefusal says whether s, folded, begins as a refusal may, or may yet come to.
func opensRefusal(s string) bool {
	s = strings.ReplaceAll(s, "’", "'")
	for _, o := range openings {
		if strings.HasPrefix(s, o) || strings.HasPrefix(o, s) {
			return true
		}
	}
	return false
}

var openings = []string{
	"lo siento", "lamento", "lamentablemente", "no ", "en los ", "en el ", "los documentos", "los pasajes", "los textos", "las fuentes", "el documento", "el pasaje",
	"el texto", "el contexto", "la informacion", "la respuesta", "ningun", "i ", "i'm ", "sorry", "unfortunately", "the document", "the passage", "the text",
	"the source", "according to the", "based on the", "segun los", "de acuerdo con", "the context", "the provided", "the given", "the information", "the answer", "there is no", "none of",
}

var endOfSentence = regexp.MustCompile(`[.!?\n]["'»”]?(?:\s|$)`)

// cutSentence cuts the first sentence off s; whole is false when it has no end.
func cutSentence(s string) (first, rest string, whole bool) {
	s = strings.TrimSpace(s)
	if end := endOfSentence.FindStringIndex(s); end != nil {
		return strings.TrimSpace(s[:end[1]]), s[end[1]:], true
	}
	return s, "", false
}

// confessions match a first sentence, folded, in which the model says that it does not find the answer.
var confessions = regexp.MustCompile(`\bno (?:lo |se |he |ha |hemos )*(?:encuentr|encontr|hall|localiz)\w* .*(?:respuesta|informacion|document|pasaje|texto|dato|referencia)` +
	`|\bno (?:puedo|es posible|se puede) (?:responder|contestar|determinar|encontrar)\b` +
	`|\bno (?:hay|dispongo de|tengo|existe|aparece|figura)\w* (?:\w+ ){0,3}(?:respuesta|informacion)` +
	`|\b(?:cannot|can't|can ?not|could not|couldn't|did not|didn't|do not|don't|unable to|was not able to) (?:\w+ ){0,2}?(?:find|answer|determine|locate|provide|have)\b.*\b(?:answer|question|information|documents?|passages?|text)\b` +
	`|\bthere is no (?:\w+ ){0,2}(?:information|answer)` +
	`|\bno (?:hay|existe|aparece|figura)\w* (?:\w+ ){0,3}(?:datos|mencion|referencia)\w*\b.* en (?:los|el|estos|este) (?:\w+ )?(?:document|pasaje|texto|fuente)` +
	`|\bthere is no (?:\w+ ){0,2}(?:mention|data|reference)\b.* in (?:the|any|these) (?:\w+ )?(?:of the )?(?:documents?|passages?|texts?|sources?)` +
	`|\b(?:answer|information) .*\b(?:is not|isn't|cannot be|was not) (?:\w+ )?(?:found|in|available|mentioned|provided|contained|given)`)

// denials match one that says what the documents do not say. With a citation it is an answer:
// "el documento no incluye el IVA [2]".
var denials = regexp.MustCompile(`\bno (?:se )?(?:mencion|especific|indic|dice|proporcion|habla|trata|aparece|figura)\w*\b.* en (?:los|el|las|la|estos|este|ningun) (?:\w+ )?(?:document|pasaje|texto|fuente|contexto|informacion)` +
	`|(?:documentos?|pasajes?|textos?|informacion|contexto|fuentes?)\b[^.]{0,60}\bno (?:se |me )?(?:contien|mencion|especific|indic|dice|proporcion|incluy|habla|trata|ofrec|responde)\w*` +
	`|\bno (?:hay|dispongo de|tengo|existe|aparece|figura)\w* (?:\w+ ){0,3}(?:datos|mencion|referencia)` +
	`|\bthere is no (?:\w+ ){0,2}(?:mention|data|reference)` +
	`|\bningun\w*(?: de los| de estos)? (?:documentos?|pasajes?|textos?|fuentes?) (?:contien|mencion|dice|indic|habla|trata|respond)` +
	`|\b(?:documents?|passages?|texts?|context|information|sources?)\b[^.]{0,60}\b(?:do not|does not|don't|doesn't|did not) (?:\w+ )?(?:contain|mention|provide|specify|state|say|include|answer|give|discuss|cover|address)` +
	`|\bnone of the (?:\w+ )?(?:documents|passages|texts|sources) (?:contain|mention|say|state|answer|provide)`)

// accordingTo matches what may stand before either: it names the documents, and so may look like a refusal with any "no".
var accordingTo = regexp.MustCompile(`^[\s"'«“*,.:]*(?:segun los|de acuerdo con|according to the|based on the)\b[^,]*,\s*`)

// negatives match a sentence that says behind it that they do not say.
var negatives = regexp.MustCompile(`^(?:no se (?:mencion|especific|indic|dice|proporcion)|no hay (?:\w+ ){0,2}(?:informacion|mencion)` +
	`|there is no (?:\w+ )?(?:information|mention)|(?:it|this) is not (?:specified|mentioned|stated))`)

// refuses says whether a sentence, folded, says that the documents do not hold the answer.
func refuses(sentence string) bool {
	sentence = strings.ReplaceAll(sentence, "’", "'")
	uncited := !citation.MatchString(sentence)
	if in := accordingTo.FindStringIndex(sentence); in != nil {
		return uncited && negatives.MatchString(sentence[in[1]:])
	}
	return confessions.MatchString(sentence) || uncited && denials.MatchString(sentence)
}
