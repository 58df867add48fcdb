package parse

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Where the paragraphs of a transcript end: at a pause, and, as some people make none, at a length.
const (
	pauseS       = 1.5
	maxParagraph = 1000 // bytes, to the end of the sentence; twice as many where it has none
)

// FromTranscript makes the text of what was heard. Each segment is a block, so
// that its times stay exact; those of a paragraph are parted by a space, and
// paragraphs by an empty line.
func FromTranscript(t Transcript) Content {
	c := Content{DurationS: max(0, t.DurationS), Language: t.Language, Unread: t.Unread}
	var text strings.Builder
	cleaner := newBuilder(maxText)
	paragraph := 0 // where it starts
	for _, s := range slices.SortedStableFunc(slices.Values(t.Segments), byTime) {
		words := strings.Join(strings.Fields(cleaner.clean(s.Text, false)), " ")
		if words == "" {
			continue
		}
		b := Block{Kind: Paragraph, StartS: milliseconds(s.StartS), Engine: t.Engine, Confidence: share(s.Confidence, 1)}
		if n := len(c.Blocks); n > 0 {
			if last := c.Blocks[n-1]; endsParagraph(text.String()[paragraph:], b.StartS-last.EndS) {
				text.WriteString("\n\n")
				paragraph = text.Len()
			} else {
				text.WriteByte(' ')
			}
		}
		b.Start = text.Len()
		text.WriteString(words)
		b.End = text.Len()
		b.EndS = max(milliseconds(s.EndS), b.StartS+0.001) // 0 would mean that it has no time
		c.DurationS = max(c.DurationS, b.EndS)
		c.Blocks = append(c.Blocks, b)
	}
	c.Text = text.String()
	return c
}

func byTime(a, b Segment) int { return cmp.Compare(a.StartS, b.StartS) }

func milliseconds(s float64) float64 { return max(0, math.Round(s*1000)/1000) }

// endsParagraph reports whether a paragraph ends before a silence of so many seconds.
func endsParagraph(text string, silence float64) bool {
	if silence >= pauseS || len(text) > 2*maxParagraph {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(text, `"'»”’)]`))
	return len(text) > maxParagraph && strings.ContainsRune(".!?…", last)
}
