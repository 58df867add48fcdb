package sidecar

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// column sets lines of a column, 40 high, from the left to the right; y is where its first stands.
func column(name string, left, right, y float64, lines int) []rapidLine {
	var out []rapidLine
	for i := range lines {
		top := y + 50*float64(i)
		out = append(out, rapidLine{fmt.Sprintf("%s%d", name, i+1), 0.9, [4]float64{left, top, right, top + 40}})
	}
	return out
}

func TestReadingOrder(t *testing.T) {
	title := rapidLine{"title", 0.9, [4]float64{200, 20, 1800, 80}}
	tests := []struct {
		name  string
		found []rapidLine
		want  string
	}{
		{"one column", column("a", 100, 1900, 100, 4), "a1 a2 a3 a4"},
		{
			"two under a title", slices.Concat([]rapidLine{title}, column("a", 100, 950, 100, 5), column("b", 1050, 1900, 110, 4)),
			"title a1 a2 a3 a4 a5 b1 b2 b3 b4",
		},
		{
			"three", slices.Concat(column("a", 100, 650, 100, 4), column("b", 700, 1250, 95, 4), column("c", 1300, 1900, 105, 4)),
			"a1 a2 a3 a4 b1 b2 b3 b4 c1 c2 c3 c4",
		},
		{
			"a heading parts the columns",
			slices.Concat(column("a", 100, 950, 100, 5), column("b", 1050, 1900, 100, 5), column("x", 100, 1900, 400, 1), column("c", 100, 950, 500, 5), column("d", 1050, 1900, 500, 5)),
			"a1 a2 a3 a4 a5 b1 b2 b3 b4 b5 x1 c1 c2 c3 c4 c5 d1 d2 d3 d4 d5",
		},
		{
			"a table", slices.Concat(column("a", 100, 300, 100, 4), column("b", 700, 800, 102, 4), column("c", 1300, 1500, 98, 4)),
			"a1 b1 c1 a2 b2 c2 a3 b3 c3 a4 b4 c4",
		},
		{
			"labels beside text", slices.Concat(column("a", 100, 300, 100, 4), column("b", 500, 1900, 100, 4)),
			"a1 b1 a2 b2 a3 b3 a4 b4",
		},
		{
			"text after text", slices.Concat(column("a", 100, 950, 100, 4), column("b", 1050, 1900, 400, 4)),
			"a1 a2 a3 a4 b1 b2 b3 b4",
		},
		{"nothing", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(tt.found), func(i, j int) { tt.found[i], tt.found[j] = tt.found[j], tt.found[i] })
			var got []string
			for _, line := range readingOrder(tt.found) {
				got = append(got, line.Text)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), tt.want)
			}
		})
	}
}

// Whatever boxes an engine invents, each line is read once.
func FuzzReadingOrder(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var found []rapidLine
		for b := range slices.Chunk(data[:min(len(data), 800)], 4) {
			if len(b) == 4 {
				found = append(found, rapidLine{fmt.Sprint(len(found)), 0.5, [4]float64{float64(b[0]), float64(int8(b[1])), float64(b[2]) * 2, float64(b[3])}})
			}
		}
		got := readingOrder(found)
		seen := map[string]bool{}
		for _, line := range got {
			seen[line.Text] = true
		}
		if len(got) != len(found) || len(seen) != len(found) {
			t.Errorf("of %d lines %d are read, %d different", len(found), len(got), len(seen))
		}
	})
}

// A page of as many lines as one may have is put in order at once, be it of columns or of nothing.
func TestReadingOrderOfManyLines(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var columns, noise []rapidLine
	for i := range maxLines {
		x, y := random.Float64()*1e4, random.Float64()*1e4
		noise = append(noise, rapidLine{"x", 0.9, [4]float64{x, y, x + 500*random.Float64(), y + 10}})
		x, y = float64(i%8)*1000, float64(i/8)*12
		columns = append(columns, rapidLine{"x", 0.9, [4]float64{x, y, x + 800 + 100*random.Float64(), y + 10}})
	}
	for _, found := range [][]rapidLine{columns, noise} {
		start := time.Now()
		if got := readingOrder(found); len(got) != maxLines {
			t.Errorf("%d lines of %d", len(got), maxLines)
		}
		if took := time.Since(start); took > 10*time.Second { // it was minutes
			t.Errorf("it took %s", took)
		}
	}
}
