package parse

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of this run")

// checkGolden compares the title, warnings and blocks of c with a golden file.
func checkGolden(t *testing.T, name string, c Content) {
	t.Helper()
	got := "title: " + c.Title + "\n"
	for _, w := range c.Warnings {
		got += "warning: " + w + "\n"
	}
	got += "\n" + outlineOf(c)
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestGolden reads the small documents of testdata.
func TestGolden(t *testing.T) {
	for _, name := range []string{"estructura.md", "pagina.html", "maquetada.html", "catalogo-iso8859.html", "hostil-script.html"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			c, err := parseFile(t, name, string(data))
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, name, c)
		})
	}
}
