package sidecar

import (
	"cmp"
	"slices"
	"sort"
)

const (
	// fewLines is how many lines make no column.
	fewLines = 4
	// proseWidth is how many times wider a column of running text is than its lines are high, and proseShare the share
	// of its lines that fill most of it. The columns of a table, which is read row by row, are narrower or ragged.
	proseWidth = 7
	proseShare = 0.5
	// maxCandidates bounds the gaps that are looked at closely, and maxColumns how many columns stand in each other.
	maxCandidates = 100
	maxColumns    = 12
)

// readingOrder orders what was found on a page: row by row, but columns of running text one after the other. What
// stands across them, as a title does, parts what is above it from what is below.
func readingOrder(found []rapidLine) []rapidLine { return byColumns(found, maxColumns) }

func byColumns(found []rapidLine, most int) []rapidLine {
	found = rows(found)
	gap, ok := gutter(found)
	if !ok || most == 0 {
		return found
	}
	var out, left, right []rapidLine
	end := func() {
		out = slices.Concat(out, byColumns(left, most-1), byColumns(right, most-1))
		left, right = nil, nil
	}
	for _, line := range found {
		switch gap.side(line) {
		case leftOf:
			left = append(left, line)
		case rightOf:
			right = append(right, line)
		default:
			end()
			out = append(out, line)
		}
	}
	end()
	return out
}

// rows sorts lines from the top, and those of one height from the left.
func rows(found []rapidLine) []rapidLine {
	sorted := slices.Clone(found)
	slices.SortStableFunc(sorted, func(a, b rapidLine) int { return cmp.Compare(a.Box[1]+a.Box[3], b.Box[1]+b.Box[3]) })
	for first, i := 0, 1; i <= len(sorted); i++ {
		if i < len(sorted) && level(sorted[first].Box, sorted[i].Box) {
			continue
		}
		slices.SortStableFunc(sorted[first:i], func(a, b rapidLine) int { return cmp.Compare(a.Box[0], b.Box[0]) })
		first = i
	}
	return sorted
}

// A gap is a strip of a page from top to bottom.
type gap struct{ from, to float64 }

type side int

const (
	across side = iota
	leftOf
	rightOf
)

func (g gap) side(line rapidLine) side {
	switch {
	case line.Box[2] <= g.to:
		return leftOf
	case line.Box[0] >= g.from:
		return rightOf
	}
	return across
}

// gutter returns the gap between two columns of running text that has most lines on either side, and fewest across.
func gutter(found []rapidLine) (best gap, ok bool) {
	high := lineHeight(found)
	for _, c := range candidates(found, high) {
		left, right := c.split(found)
		if isProse(left, high) && isProse(right, high) && beside(left, right) {
			return c.gap, true
		}
	}
	return gap{}, false
}

// A candidate is a gap, and how much better it parts the lines than it cuts through them.
type candidate struct {
	gap
	score int
}

// candidates returns the gaps that may be a gutter, the best first.
func candidates(found []rapidLine, high float64) []candidate {
	var begins, ends []float64
	for _, line := range found {
		begins, ends = append(begins, line.Box[0]), append(ends, line.Box[2])
	}
	slices.Sort(begins)
	slices.Sort(ends)
	var all []candidate
	for _, end := range slices.Compact(slices.Clone(ends)) {
		// Any gutter begins where some line ends. A letter may hang over it.
		g := gap{end - high/4, end + high/4}
		left := sort.Search(len(ends), func(i int) bool { return ends[i] > g.to })
		from, _ := slices.BinarySearch(begins, g.from)
		right := len(begins) - from
		if score := min(left, right) - max(0, len(found)-left-right); score > 0 {
			all = append(all, candidate{g, score})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	return all[:min(len(all), maxCandidates)]
}

// split returns the lines left and right of a gap.
func (g gap) split(found []rapidLine) (left, right []rapidLine) {
	for _, line := range found {
		switch g.side(line) {
		case leftOf:
			left = append(left, line)
		case rightOf:
			right = append(right, line)
		}
	}
	return left, right
}

// isProse reports whether lines, usually so high, are a column of running text, or several beside each other.
func isProse(column []rapidLine, high float64) bool {
	if len(column) < fewLines {
		return false
	}
	wide := 0
	for _, line := range column {
		if line.Box[2]-line.Box[0] > proseWidth*high {
			wide++
		}
	}
	return float64(wide) >= proseShare*float64(len(column))
}

// beside reports whether most lines of the shorter of two columns stand beside the other.
func beside(left, right []rapidLine) bool {
	if len(left) > len(right) {
		left, right = right, left
	}
	heights := make([][2]float64, len(right))
	for i, b := range right {
		heights[i] = [2]float64{b.Box[1], b.Box[3]}
	}
	heights = joined(heights)
	n := 0
	for _, a := range left {
		i := sort.Search(len(heights), func(i int) bool { return heights[i][1] > a.Box[1] })
		if i < len(heights) && heights[i][0] < a.Box[3] {
			n++
		}
	}
	return 2*n > len(left)
}

// lineHeight is the usual height of a line.
func lineHeight(found []rapidLine) float64 {
	heights := make([]float64, len(found))
	for i, line := range found {
		heights[i] = line.Box[3] - line.Box[1]
	}
	if len(heights) == 0 {
		return 0
	}
	slices.Sort(heights)
	return heights[len(heights)/2]
}
