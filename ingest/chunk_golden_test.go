package ingest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/ingest/parse"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestChunksGolden cuts the documents of testdata/chunks. They are written in a
// few signs of Markdown; "--- page" begins a page.
func TestChunksGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/chunks/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := outline(string(source))
			all := chunks("d", c, smallChunks, roughly)
			if err := checkChunks(c, smallChunks, all); err != nil {
				t.Error(err)
			}
			var got strings.Builder
			for _, x := range all {
				fmt.Fprintf(&got, "=== %s: %d tokens, %q, %q, %+v\n%s\n", x.ID, x.Tokens, x.Title, x.Heading, x.Location, x.Text)
			}
			golden := strings.TrimSuffix(file, ".txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("(-want +got; -update accepts it)\n%s", diff)
			}
		})
	}
}

func outline(source string) parse.Content {
	var w contentWriter
	var path []string
	page := 0
	if strings.Contains(source, "--- page") {
		page = 1
	}
	for part := range strings.SplitSeq(strings.TrimSpace(source), "\n\n") {
		kind := parse.Paragraph
		switch {
		case part == "--- page":
			page++
			continue
		case strings.HasPrefix(part, "#"):
			kind = parse.Heading
			signs, text, _ := strings.Cut(part, " ")
			path, part = append(path[:len(signs)-1:len(signs)-1], text), text
		case strings.HasPrefix(part, "- "):
			kind, part = parse.Item, part[2:]
		case strings.HasPrefix(part, "| "):
			kind = parse.Table
		case strings.HasPrefix(part, "```"):
			kind, part = parse.Preformatted, strings.Trim(part, "`\n")
		}
		w.add(kind, page, part, path...)
	}
	w.c.Title = path[0]
	return w.c
}
