package ingest

import (
	"slices"
	"testing"
	"time"
)

func TestSettling(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	file := func(size int64, changed int) stamp { return stamp{Size: size, MTime: at(changed).UnixNano()} }
	type files map[string]stamp
	type step struct {
		at         int
		files      files
		known      files
		blind      []string
		take, drop []string
		next       int // seconds; 0 is none
	}
	a, b := file(1, 0), file(2, 0)
	for name, steps := range map[string][]step{
		"a new file is taken when it has been quiet": {
			{at: 0, files: files{"a": a}, next: 5},
			{at: 4, files: files{"a": a}, next: 5},
			{at: 5, files: files{"a": a}, take: []string{"a"}},
			{at: 6, files: files{"a": a}, known: files{"a": a}},
		},
		"a file that grows is not": {
			{at: 0, files: files{"a": file(1, 0)}, next: 5},
			{at: 4, files: files{"a": file(2, 4)}, next: 9},
			{at: 8, files: files{"a": file(3, 8)}, next: 13},
			{at: 13, files: files{"a": file(3, 8)}, take: []string{"a"}},
		},
		"what lay still before the start is taken at once": {
			{at: 0, files: files{"a": file(1, -5), "b": file(2, -4)}, take: []string{"a"}, next: 5},
		},
		"but not what appears later with an old time": {
			{at: 0},
			{at: 1, files: files{"a": file(1, -5)}, next: 6},
		},
		"an edit counts as new": {
			{at: 0, files: files{"a": a}, known: files{"a": b}, next: 5},
			{at: 5, files: files{"a": a}, known: files{"a": b}, take: []string{"a"}},
		},
		"what is missing is dropped after as long an absence": {
			{at: 0, known: files{"a": a}, next: 5},
			{at: 3, files: files{"a": a}, known: files{"a": a}},
			{at: 4, known: files{"a": a}, next: 9},
			{at: 9, known: files{"a": a}, drop: []string{"a"}},
		},
		"a rename is taken before it is dropped": {
			{at: 0, files: files{"b": a}, known: files{"a": a}, next: 5},
			{at: 5, files: files{"b": a}, known: files{"a": a}, take: []string{"b"}, drop: []string{"a"}},
		},
		"what may be renamed is not dropped yet": {
			{at: 0, known: files{"a": a}, next: 5},
			{at: 4, files: files{"b": a}, known: files{"a": a}, next: 5},
			{at: 6, files: files{"b": a}, known: files{"a": a}, next: 8},
			{at: 9, files: files{"b": a}, known: files{"a": a}, take: []string{"b"}, drop: []string{"a"}},
		},
		"nothing is concluded of what cannot be seen": {
			{at: 0, known: files{"dir/a": a, "dirt": a}, blind: []string{"dir"}, next: 5},
			{at: 9, known: files{"dir/a": a, "dirt": a}, blind: []string{"dir"}, drop: []string{"dirt"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSettling(5 * time.Second)
			for i, step := range steps {
				take, drop, next := s.look(at(step.at), &tree{files: step.files, blind: step.blind}, step.known)
				want := time.Time{}
				if step.next != 0 {
					want = at(step.next)
				}
				if next.Sub(want).Abs() > time.Second || !slices.Equal(take, step.take) || !slices.Equal(drop, step.drop) {
					t.Errorf("step %d: take %q drop %q next %v; want %q %q %v", i, take, drop, next, step.take, step.drop, want)
				}
			}
		})
	}
}

func TestIgnore(t *testing.T) {
	rules := rules{"*.log", "build/", "/secret.txt", "legal/*.bak", "["}
	for name, want := range map[string]bool{
		"a.txt": false, ".hidden": true, "~$informe.docx": true, "x.part": true, "x.CRDOWNLOAD": true, "x.tmp": true, "x.download": true,
		"Thumbs.db": true, "legal/desktop.ini": true, "a.log": true, "deep/down/a.log": true, "secret.txt": true, "deep/secret.txt": false,
		"legal/x.bak": true, "other/x.bak": false, "build": false, "particular.txt": false,
	} {
		if got := rules.ignore(name, false); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{"build": true, "deep/build": true, "@eaDir": true, "__MACOSX": true, ".stversions": true, "#recycle": true, "legal": false} {
		if got := rules.ignore(name, true); got != want {
			t.Errorf("directory %s: %v, want %v", name, got, want)
		}
	}
}

func TestNumbered(t *testing.T) {
	for name, want := range map[string]string{"a/b.c.txt": "a/b.c (2).txt", "b": "b (2)", "a.d/b": "a.d/b (2)"} {
		if got := numbered(name, 2); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestPageList(t *testing.T) {
	if got := PageList([]int{1, 3, 4, 5, 9, 10}); got != "1, 3-5, 9-10" {
		t.Error(got)
	}
	var odd []int
	for i := range 100 {
		odd = append(odd, 2*i+1)
	}
	if got := PageList(odd); len(got) > 100 {
		t.Error(got)
	}
}

func TestEveryProblemHasItsSentences(t *testing.T) {
	for code := range whole {
		p := newProblem(code, "")
		if p.In("es") == "" || p.In("es") == p.In("en") || p.Message != p.In("fr") {
			t.Errorf("%s: %q, %q", code, p.In("es"), p.Message)
		}
	}
}
