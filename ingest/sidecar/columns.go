package sidecar

import (
	"cmp"
	"slices"
)

const (
	// fewLines is how many lines make no column.
	fewLines = 4
	// proseWidth is how many times wider a column of running text is than its lines are high, and proseShare the share
	// of its lines that fill most of it. The columns of a table, which is read row by row, are narrower or ragged.
	proseWidth = 7
	proseShare = 0.5
)

// readingOrder orders what was found on a page: row by row, but columns of running text one after the other. What
// stands across them, as a title does, parts what is above it from what is below.
func readingOrder(found []rapidLine) []rapidLine {
	found = rows(found)
	gap, ok := gutter(found)
	if !ok {
		return found
	}
	var out, left, right []rapidLine
	end := func() {
		out = slices.Concat(out, readingOrder(left), readingOrder(right))
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
	most := 0
	high := lineHeight(found)
	for _, line := range found {
		// Any gutter begins where some line ends. A letter may hang over it.
		g := gap{line.Box[2] - high/4, line.Box[2] + high/4}
		left, right, n := g.split(found)
		if score := min(len(left), len(right)) - n; score > most && isProse(left, high) && isProse(right, high) && beside(left, right) {
			best, most, ok = g, score, true
		}
	}
	return best, ok
}

// split returns the lines left and right of a gap, and how many lie across it.
func (g gap) split(found []rapidLine) (left, right []rapidLine, across int) {
	for _, line := range found {
		switch g.side(line) {
		case leftOf:
			left = append(left, line)
		case rightOf:
			right = append(right, line)
		default:
			across++
		}
	}
	return left, right, across
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
	n := 0
	for _, a := range left {
		if slices.ContainsFunc(right, func(b rapidLine) bool { return a.Box[1] < b.Box[3] && b.Box[1] < a.Box[3] }) {
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
