package answer

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/acervo-kb/acervo/retrieval"
)

// Bounds of making a question stand alone.
const (
	maxRewrite = 96  // tokens of the rewritten question
	maxLonger  = 200 // characters that it may be longer than what was asked
	recent     = 4   // messages that the model is shown for it
)

// standalone is the question as it is searched for. One that leans on what was
// said before is rewritten by the model; where that fails, or there is none, the
// words of the last question are added. Other questions stay as they are:
// small models damage good ones.
func (s *session) standalone(ctx context.Context) string {
	i := lastQuestion(s.q.History)
	if i < 0 || !followsUp(s.q.Text) {
		return s.q.Text
	}
	last := s.q.History[i].Content
	if s.cfg.Generator != nil {
		if rewritten := s.rewrite(ctx); stands(rewritten, s.q.Text, last) {
			return rewritten
		}
	}
	asked := contentSet(s.q.Text)
	var add []string
	for w := range strings.FieldsFuncSeq(last, func(r rune) bool { return !isWord(r) }) {
		if c := content(w); len(c) == 1 && !asked[c[0]] && len(add) < 20 {
			add = append(add, w)
		}
	}
	return strings.TrimSpace(s.q.Text + " " + strings.Join(add, " "))
}

func lastQuestion(history []Message) int {
	for i, m := range slices.Backward(history) {
		if m.Role == User {
			return i
		}
	}
	return -1
}

// rewrite has the model rewrite the question; "" when it cannot.
func (s *session) rewrite(ctx context.Context) string {
	history := s.history(s.cfg.Generator.Context() / 8)
	p := prompt{Language: retrieval.DetectLanguage(s.q.Text), Question: s.q.Text, History: history[max(0, len(history)-recent):]}
	if p.Language != en {
		p.Language = es
	}
	var b strings.Builder
	request := Request{Messages: []Message{{User, p.render("standalone")}}, MaxTokens: maxRewrite}
	for d, err := range s.cfg.Generator.Generate(ctx, request) {
		if err != nil {
			return ""
		}
		if d.Usage != nil {
			s.answer.Usage.Reloaded = s.answer.Usage.Reloaded || d.Usage.Reloaded
		}
		b.WriteString(d.Text)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(b.String()), "\n")
	return strings.Trim(first, " \"«»“”*")
}

// stands says whether a rewritten question is fit to search for: of a sane
// length, with the words of the question and something of the one before.
func stands(rewritten, question, last string) bool {
	if n := utf8.RuneCountInString(rewritten); n == 0 || n > utf8.RuneCountInString(question)+maxLonger {
		return false
	}
	have := contentSet(rewritten)
	for _, w := range content(question) {
		if !have[w] {
			return false
		}
	}
	return slices.ContainsFunc(content(last), func(w string) bool { return have[w] })
}

var (
	leaning = setOf("ese esa eso esos esas este esta esto estos estas ello el ella ellos ellas lo la los las le les su sus aquel aquella it its this that these those they them their he she him her his one ones")
	joining = setOf("y e pero entonces tambien and but so then also what about")
	// articles are only pronouns at the end of a question or before a verb, which cannot be told here.
	articles = setOf("el la los las lo esta this that one")
)

// followsUp says whether a question seems to lean on what was said before it.
func followsUp(question string) bool {
	all := words(question)
	if len(all) == 0 {
		return false
	}
	switch first := all[0]; {
	case first == "what" || first == "about" || first == "so":
		if len(all) > 1 && (all[1] == "about" || first != "what") {
			return true
		}
	case joining[first]:
		return true
	}
	known := content(question)
	return len(known) <= 1 || len(known) <= 4 && slices.ContainsFunc(all, func(w string) bool { return leaning[w] && !articles[w] })
}

// history returns the last exchanges of the conversation that fit in budget
// tokens, whole, the roles taking turns. The numbers that old answers cite are
// taken out: they meant other passages.
func (s *session) history(budget int) []Message {
	var out []Message
	all := s.q.History
	for i := len(all) - 1; i > 0; i-- {
		if all[i].Role != Assistant || all[i-1].Role != User {
			continue
		}
		answer := strings.TrimSpace(citation.ReplaceAllString(all[i].Content, ""))
		budget -= s.cfg.Count(all[i-1].Content) + s.cfg.Count(answer)
		if budget < 0 {
			break
		}
		out = append(out, Message{Assistant, answer}, all[i-1])
		i--
	}
	slices.Reverse(out)
	return out
}
