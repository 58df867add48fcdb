package answer

import (
	"regexp"
	"slices"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// cite runs a whole answer through a citer, cut at every place of cuts.
func cite(passages int, pieces ...string) (string, []int) {
	c := newCiter(passages)
	out := ""
	for _, p := range pieces {
		out += c.Write(p)
	}
	out += c.Close()
	cited := []int{}
	for n := range c.cited {
		cited = append(cited, n)
	}
	slices.Sort(cited)
	return out, cited
}

func TestCite(t *testing.T) {
	for _, c := range []struct {
		in, want string
		cited    []int
	}{
		{"Dura tres años [1].", "Dura tres años [1].", []int{1}},
		{"Según el documento [1], así es. Otra fuente [99].", "Según el documento [1], así es. Otra fuente.", []int{1}},
		{"a [1, 2] b [1][3] c [1 y 2]", "a [1][2] b [1][3] c [1][2]", []int{1, 2, 3}},
		{"a [1-3]; b [2–9]", "a [1][2][3]; b [2][3]", []int{1, 2, 3}},
		{"a [ 1 ] b 【2】 c ［3］ d [^1]", "a [1] b [2] c [3] d [1]", []int{1, 2, 3}},
		{"ver [Documento 1] y [pasajes 1 y 2], [Source: x]", "ver [1] y [1][2], [Source: x]", []int{1, 2}},
		{"a [99][1] b [1][99] c [98] [99] d", "a [1] b [1] c d", []int{1}},
		{"fuente [99]dice", "fuente dice", []int{}},
		{"la crisis de [1999] y [2]", "la crisis de y [2]", []int{2}},
		{"[0] a [00000000000000000000000000000001]", " a [ 00000000000000000000000000000001]", []int{}},
		{"[[1]] [[99]1] [1[99]2]", "[[1]] [()1] [1()2]", []int{1}},
		{"[enlace](http://x) [ ] [] [1.5] [a1] x[3", "[enlace](http://x) [ ] [] [1.5] [a1] x[3", []int{}},
		{"| a [1] | b |\n\n- c [2]\n", "| a [1] | b |\n\n- c [2]\n", []int{1, 2}},
		{"fin [99]\n\nOtra [", "fin\n\nOtra [", []int{}},
		{"[99999999999999999999]", "", []int{}},
		{"\xff [1] \xf0\x9f", "\xff [1] \xf0\x9f", []int{1}},
	} {
		got, cited := cite(3, c.in)
		if got != c.want || !cmp.Equal(cited, c.cited) {
			t.Errorf("%q: %q %v, want %q %v", c.in, got, cited, c.want, c.cited)
		}
	}
}

// Text that cannot be part of a mark is not held back.
func TestCiteStreams(t *testing.T) {
	c := newCiter(2)
	for _, step := range []struct{ in, out string }{
		{"Dura", "Dura"}, {" tres", " tres"}, {" años ", " años"}, {"[", ""}, {"1", ""}, {"]", " [1]"}, {".", "."}, {" [uno de los equipos que ", ""}, {"se", " [uno de los equipos que se"},
	} {
		if got := c.Write(step.in); got != step.out {
			t.Errorf("%q came out as %q, want %q", step.in, got, step.out)
		}
	}
}

var strictMark = regexp.MustCompile(`\[(\d+)\]`)

func FuzzCite(f *testing.F) {
	for _, s := range []string{"a [1], b [99].", "[[99]1] [1[99]2]", "【1】［2］ [ 1 , 2 ] [1-9]", "x [", "[1", "\xe3\x80 [1]", "[0000000000000000000000000001]", "[a [1] ] [99] [98] ."} {
		f.Add(s, 3, 5)
	}
	f.Fuzz(func(t *testing.T, s string, a, b int) {
		want, cited := cite(5, s)
		cut := func(n int) int { return max(0, min(n, len(s))) }
		a, b = cut(min(a, b)), cut(max(a, b))
		bytes := make([]string, len(s))
		for i := range len(s) {
			bytes[i] = s[i : i+1]
		}
		for _, pieces := range [][]string{{s[:a], s[a:b], s[b:]}, bytes} {
			if got, n := cite(5, pieces...); got != want || !cmp.Equal(n, cited) {
				t.Errorf("%q in pieces: %q %v, whole: %q %v", s, got, n, want, cited)
			}
		}
		shown := []int{}
		for _, m := range strictMark.FindAllStringSubmatch(want, -1) {
			n, _ := strconv.Atoi(m[1])
			shown = append(shown, n)
		}
		slices.Sort(shown)
		if got := slices.Compact(shown); !cmp.Equal(got, cited) {
			t.Errorf("%q shows %v, cited %v: %q", s, got, cited, want)
		}
		if !regexp.MustCompile(`[\[\]【】［］]`).MatchString(s) && want != s {
			t.Errorf("without brackets %q became %q", s, want)
		}
		if again, n := cite(5, want); utf8.ValidString(s) && (again != want || !cmp.Equal(n, cited)) {
			t.Errorf("%q is not settled: %q, then %q", s, want, again)
		}
	})
}
