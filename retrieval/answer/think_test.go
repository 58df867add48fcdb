package answer

import (
	"strings"
	"testing"
)

func TestThinkSplitter(t *testing.T) {
	tests := []struct{ name, in, text, thinking string }{
		{"none", "Tres años [1].", "Tres años [1].", ""},
		{"thought first", "<think>veamos</think>\n\nTres años [1].", "\n\nTres años [1].", "veamos"},
		{"white space before", "\n <think>veamos</think>Sí.", "Sí.", "veamos"},
		{"empty thought", "<think>\n\n</think>\n\nSí.", "\n\nSí.", "\n\n"},
		{"never closed", "<think>veamos </thi", "", "veamos </thi"},
		{"almost a tag", "<thin>k", "<thin>k", ""},
		{"only the start of a tag", " <thi", " <thi", ""},
		{"nested signs", "<think>a < b </ c </think>d", "d", "a < b </ c "},
		{"later tags are text", "La etiqueta <think> abre y </think> cierra.", "La etiqueta <think> abre y </think> cierra.", ""},
		{"second thought is text", "<think>a</think>b<think>c</think>", "b<think>c</think>", "a"},
		{"nothing", "", "", ""},
	}
	for _, test := range tests {
		for size := 1; size <= len(test.in)+1; size++ {
			var s ThinkSplitter
			var text, thinking strings.Builder
			for rest := test.in; rest != ""; {
				n := min(size, len(rest))
				d := s.Split(rest[:n])
				rest = rest[n:]
				text.WriteString(d.Text)
				thinking.WriteString(d.Thinking)
			}
			d := s.Close()
			text.WriteString(d.Text)
			thinking.WriteString(d.Thinking)
			if text.String() != test.text || thinking.String() != test.thinking {
				t.Errorf("%s, %d bytes a piece: text %q, thinking %q; want %q, %q", test.name, size, text.String(), thinking.String(), test.text, test.thinking)
			}
		}
	}
}

func TestThinkSplitterHoldsNoTextBack(t *testing.T) {
	var s ThinkSplitter
	for _, piece := range []string{"Tres", " años", " <", "/think"} {
		if d := s.Split(piece); d.Text != piece {
			t.Errorf("Split(%q) = %q, want it at once", piece, d.Text)
		}
	}
}
