package parse

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// checkContent fails the test where c breaks a promise of [Content].
func checkContent(t *testing.T, c Content) {
	t.Helper()
	if !utf8.ValidString(c.Text) || !utf8.ValidString(c.Title) {
		t.Error("text or title is not UTF-8")
	}
	if !norm.NFC.IsNormalString(c.Text) {
		t.Error("text is not NFC")
	}
	if i := strings.IndexFunc(c.Text, forbidden); i >= 0 {
		t.Errorf("text holds %U", []rune(c.Text[i:])[0])
	}
	end := 0
	for i, b := range c.Blocks {
		if b.Start < end || b.End <= b.Start || b.End > len(c.Text) {
			t.Fatalf("block %d is [%d,%d) after %d in %d bytes", i, b.Start, b.End, end, len(c.Text))
		}
		if strings.TrimSpace(c.Text[end:b.Start]) != "" {
			t.Errorf("text before block %d: %q", i, c.Text[end:b.Start])
		}
		if i > 0 && !strings.HasPrefix(c.Text[end:b.Start], "\n\n") {
			t.Errorf("no blank line before block %d", i)
		}
		checkBlock(t, i, b, c)
		end = b.End
	}
	if end != len(c.Text) {
		t.Errorf("text after the last block: %q", c.Text[end:])
	}
}

func checkBlock(t *testing.T, i int, b Block, c Content) {
	t.Helper()
	if strings.TrimSpace(c.Text[b.Start:b.End]) == "" || !utf8.ValidString(c.Text[b.Start:b.End]) {
		t.Errorf("block %d holds %q", i, c.Text[b.Start:b.End])
	}
	if b.Kind == Heading && len(b.Under) == 0 {
		t.Errorf("heading %d is under nothing, not even itself", i)
	}
	if b.Page < 0 || b.Page > c.Pages && c.Pages > 0 {
		t.Errorf("block %d is on page %d of %d", i, b.Page, c.Pages)
	}
	at := b.Start
	for _, l := range b.Lines {
		if l.Start < at || l.End <= l.Start || l.End > b.End {
			t.Fatalf("line [%d,%d) of block %d [%d,%d) after %d", l.Start, l.End, i, b.Start, b.End, at)
		}
		if l.Box[0] > l.Box[2] || l.Box[1] > l.Box[3] {
			t.Errorf("box %v of block %d is inside out", l.Box, i)
		}
		at = l.End
	}
}

// forbidden reports whether r must not stand in extracted text.
func forbidden(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || isHidden(r) || r == '\u00AD' || r == '\uFEFF'
}
