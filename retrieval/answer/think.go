package answer

import "strings"

const (
	thinkOpen  = "<think>"
	thinkClose = "</think>"
)

// A ThinkSplitter keeps what a reasoning model writes between <think> and
// </think> at the start of its answer apart from the answer, wherever the tokens
// end. Tags further on are text: a document may speak of them. The zero value is ready.
type ThinkSplitter struct {
	held     string // may be the start of a tag
	thinking bool
	plain    bool // only text follows
}

// Split returns what of piece, and of what was held back before, is text and what is thought.
func (s *ThinkSplitter) Split(piece string) Delta {
	s.held += piece
	if !s.plain && !s.thinking {
		start := strings.TrimLeft(s.held, " \t\r\n")
		rest, found := strings.CutPrefix(start, thinkOpen)
		switch {
		case found:
			s.held, s.thinking = rest, true
		case strings.HasPrefix(thinkOpen, start):
			return Delta{}
		default:
			s.plain = true
		}
	}
	var d Delta
	if s.thinking {
		thought, rest, found := strings.Cut(s.held, thinkClose)
		if !found {
			keep := tagStart(s.held)
			d.Thinking, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
			return d
		}
		d.Thinking, s.held, s.thinking, s.plain = thought, rest, false, true
	}
	d.Text, s.held = s.held, ""
	return d
}

// Close returns what was held back, at the end of the answer.
func (s *ThinkSplitter) Close() Delta {
	rest := s.held
	s.held = ""
	if s.thinking {
		return Delta{Thinking: rest}
	}
	return Delta{Text: rest}
}

// tagStart is the length of the longest end of text that the closing tag could begin with.
func tagStart(text string) int {
	for n := min(len(text), len(thinkClose)-1); n > 0; n-- {
		if strings.HasSuffix(text, thinkClose[:n]) {
			return n
		}
	}
	return 0
}
