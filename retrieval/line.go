package retrieval

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"unicode/utf8"
)

// A Line is a piece of a chunk's text that has a place of its own: a line of a page, or what is said in one breath
// of a recording. Box holds for the one, the seconds for the other.
type Line struct {
	Start, End   int // in bytes of the chunk's text
	Box          [4]float64
	StartS, EndS float64
}

// Lines are in the order of the text. They are stored as bare numbers, as there are dozens a chunk: each line as
// [start, end, x0, y0, x1, y1] in steps of [BoxSteps], or as [start, end, start_ms, end_ms].
type Lines []Line

// BoxSteps is how many steps the boxes of lines are stored in, from one side of a page to the other.
const BoxSteps = 10_000

// MarshalJSON implements json.Marshaler.
func (ls Lines) MarshalJSON() ([]byte, error) {
	all := make([][]int, len(ls))
	for i, l := range ls {
		all[i] = []int{l.Start, l.End}
		if l.EndS > 0 {
			all[i] = append(all[i], thousandths(l.StartS), thousandths(l.EndS))
			continue
		}
		for _, edge := range l.Box {
			all[i] = append(all[i], int(math.Round(edge*BoxSteps)))
		}
	}
	return json.Marshal(all)
}

func thousandths(s float64) int { return int(math.Round(s * 1000)) }

// UnmarshalJSON implements json.Unmarshaler.
func (ls *Lines) UnmarshalJSON(raw []byte) error {
	var all [][]int
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	*ls = make(Lines, len(all))
	for i, n := range all {
		switch l := &(*ls)[i]; len(n) {
		case 4:
			*l = Line{Start: n[0], End: n[1], StartS: float64(n[2]) / 1000, EndS: float64(n[3]) / 1000}
		case 6:
			*l = Line{Start: n[0], End: n[1]}
			for edge := range l.Box {
				l.Box[edge] = float64(n[2+edge]) / BoxSteps
			}
		default:
			return errors.New("a line has neither a box nor a time")
		}
	}
	return nil
}

// At returns where pieces of c's text stand, each from a byte to another, in order: on the lines that they touch, or
// from the first character to the last. It is c's own location where that is all that is known.
func (c Chunk) At(pieces [][2]int) Location {
	at := c.Location
	if len(pieces) == 0 {
		return at
	}
	start, end := pieces[0][0], pieces[len(pieces)-1][1]
	touched := slices.DeleteFunc(slices.Clone(c.Lines), func(l Line) bool {
		return !slices.ContainsFunc(pieces, func(p [2]int) bool { return p[0] < l.End && l.Start < p[1] })
	})
	switch {
	case at.Kind == "chars":
		at.Start += utf8.RuneCountInString(c.Text[:start])
		at.End = at.Start + utf8.RuneCountInString(c.Text[start:end])
	case len(touched) == 0:
	case at.Kind == "page":
		at.Boxes = nil
		for _, l := range touched {
			if !slices.Contains(at.Boxes, l.Box) { // an engine may know the box of a whole paragraph only
				at.Boxes = append(at.Boxes, l.Box)
			}
		}
	case at.Kind == "time":
		at.StartS, at.EndS = touched[0].StartS, touched[0].EndS
		for _, l := range touched {
			at.EndS = max(at.EndS, l.EndS)
		}
	}
	return at
}
