package ingest

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// clip returns the first 120 characters of a heading.
func clip(heading string) string {
	n := 0
	for i := range heading {
		if n == 120 {
			return heading[:i]
		}
		n++
	}
	return heading
}

// common returns the path of headings that all the blocks are under.
func common(blocks []parse.Block) []string {
	path := blocks[0].Under
	for _, b := range blocks[1:] {
		n := 0
		for n < len(path) && n < len(b.Under) && path[n] == b.Under[n] {
			n++
		}
		path = path[:n]
	}
	return path
}

// endOf returns when the last of the blocks of a recording has been said: two may speak at once.
func endOf(blocks []parse.Block) float64 {
	end := 0.0
	for _, b := range blocks {
		end = max(end, b.EndS)
	}
	return end
}

// recognition says who recognised the text from start to end, if anybody, and how sure that is on average.
func recognition(blocks []parse.Block, start, end int) retrieval.Recognition {
	var r retrieval.Recognition
	var sum, bytes float64
	for _, b := range blocks {
		if b.Engine != "" {
			n := float64(min(b.End, end) - max(b.Start, start))
			sum, bytes = sum+n*b.Confidence, bytes+n
			r.Engine = b.Engine
		}
	}
	if bytes > 0 {
		r.Confidence = math.Round(1000*sum/bytes) / 1000
	}
	return r
}

// rankOfSilence says how good a cut is between two segments of a recording: at
// a pause, which is a paragraph's end, or a sentence's, rather than within one.
func rankOfSilence(before, between string) rank {
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(before, `"'»”’)]`))
	switch {
	case strings.Contains(between, "\n\n"):
		return betweenBlocks
	case strings.ContainsRune(".!?…。！？", last):
		return betweenSentences
	}
	return betweenWords
}

// maxBoxes is how many boxes a place has at most: enough to mark a page.
const maxBoxes = 40

// boxes returns where the text from start to end stands on its page: lines
// stacked closely in one block are one box.
func boxes(blocks []parse.Block, start, end int) [][4]float64 {
	var all [][4]float64
	for _, b := range blocks {
		first := len(all)
		for _, l := range placed(b, start, end) {
			box := snapped(l.Box)
			if len(all) > first && stacked(all[len(all)-1], box) {
				all[len(all)-1] = union(all[len(all)-1], box)
			} else {
				all = append(all, box)
			}
		}
	}
	for len(all) > maxBoxes {
		for i := 0; i < len(all); i += 2 {
			all[i/2] = union(all[i], all[min(i+1, len(all)-1)])
		}
		all = all[:(len(all)+1)/2]
	}
	return all
}

// placed returns the lines of b whose place is known, of the text from start to end.
func placed(b parse.Block, start, end int) []parse.Line {
	from, _ := slices.BinarySearchFunc(b.Lines, start, func(l parse.Line, at int) int { return l.End - at - 1 })
	var known []parse.Line
	for _, l := range b.Lines[from:] {
		if l.Start >= end {
			break
		}
		if l.Box != [4]float64{} {
			known = append(known, l)
		}
	}
	return known
}

// snapped is a box as it can be stored.
func snapped(box [4]float64) [4]float64 {
	for i := range box {
		box[i] = math.Round(box[i]*retrieval.BoxSteps) / retrieval.BoxSteps
	}
	return box
}

// lines returns the lines of the text from start to end, or what is said in one breath, from its beginning on.
func lines(blocks []parse.Block, start, end int) (all retrieval.Lines) {
	within := func(from, to int) retrieval.Line {
		return retrieval.Line{Start: max(from, start) - start, End: min(to, end) - start}
	}
	for _, b := range blocks {
		if b.EndS > 0 {
			line := within(b.Start, b.End)
			line.StartS, line.EndS = b.StartS, b.EndS
			all = append(all, line)
		}
		for _, l := range placed(b, start, end) {
			line := within(l.Start, l.End)
			line.Box = snapped(l.Box)
			all = append(all, line)
		}
	}
	return all
}

// stacked reports whether line b stands right below a. The boxes of lines that lie askew overlap.
func stacked(a, b [4]float64) bool {
	height, gap := b[3]-b[1], b[1]-a[3]
	return gap < height && (gap > -height/2 || b[1] > a[1] && b[3] > a[3]) && a[0] < b[2] && b[0] < a[2]
}

func union(a, b [4]float64) [4]float64 {
	return [4]float64{min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])}
}
