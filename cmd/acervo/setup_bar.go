package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A stepBar shows how far a step has come. It is silent where stderr is no terminal.
type stepBar struct {
	bar   *progressbar.ProgressBar
	name  string
	width int // of a line of text
}

func newStepBar(stderr io.Writer, st *step) *stepBar {
	b := &stepBar{name: st.Name}
	if !terminal(stderr) {
		return b
	}
	b.width, _, _ = term.GetSize(int(os.Stderr.Fd()))
	options := []progressbar.Option{
		progressbar.OptionSetWriter(stderr), progressbar.OptionSetDescription(st.Name), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth(),
	}
	if st.counted {
		b.bar = progressbar.NewOptions64(max(1, st.Bytes), append(options, progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true))...)
	} else {
		b.bar = progressbar.NewOptions64(-1, append(options, progressbar.OptionSpinnerType(14))...)
	}
	_ = b.bar.RenderBlank() // a tool may say nothing for a while
	return b
}

// bytes shows how much of a download is there.
func (b *stepBar) bytes(done, total int64) {
	if b.bar == nil {
		return
	}
	if total > 0 && total != b.bar.GetMax64() {
		b.bar.ChangeMax64(total)
	}
	_ = b.bar.Set64(min(done, b.bar.GetMax64()-1)) // at its end it would be gone before the check
}

// line shows what a tool says.
func (b *stepBar) line(text string) {
	if b.bar == nil {
		return
	}
	if runes, room := []rune(text), max(20, b.width-len(b.name)-24); len(runes) > room {
		text = string(runes[:room]) + "…"
	}
	b.bar.Describe(b.name + ": " + text)
	_ = b.bar.Add(1)
}

func (b *stepBar) end() {
	if b.bar != nil {
		_ = b.bar.Finish() // which also stops what turns it; a terminal that went away is no reason to fail
	}
}
