package worker

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// onePage is a PDF document without a table of its objects: readers rebuild it.
const onePage = `%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>> endobj
4 0 obj <</Length 45>> stream
BT /F1 18 Tf 20 100 Td (Garantia de fabrica) Tj ET
endstream endobj
5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
trailer <</Root 1 0 R>>
`

func serving(c *Config) {
	c.Env = append(c.Env, "ACERVO_TEST_CACHE="+filepath.Join(os.TempDir(), "acervo-test-pdfium"))
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestServe reads real files in a real child.
func TestServe(t *testing.T) {
	root, p := t.TempDir(), newPool(t, "serve", serving)
	write(t, root, "nota.txt", "Mañana, a las diez.")
	write(t, root, "uno.pdf", onePage)
	content, err := p.Parse(t.Context(), root, "nota.txt", nil)
	if err != nil || content.Text != "Mañana, a las diez." || len(content.SHA256) != 64 {
		t.Errorf("content %+v, error %v", content, err)
	}
	pages := 0
	content, err = p.Parse(t.Context(), root, "uno.pdf", func(done, _ int, _ string) { pages = done })
	if err != nil || content.Text != "Garantia de fabrica" || content.Pages != 1 || pages != 1 {
		t.Errorf("content %+v after %d pages, error %v", content, pages, err)
	}
	image, err := p.Page(t.Context(), root, "uno.pdf", 1)
	if err != nil {
		t.Fatal(err)
	}
	if size, err := png.DecodeConfig(bytes.NewReader(image)); err != nil || size.Width != 625 || size.Height != 417 {
		t.Errorf("page of %d×%d pixels, error %v", size.Width, size.Height, err)
	}
	_, err = p.Page(t.Context(), root, "uno.pdf", 2)
	wantCode(t, err, parse.Unsupported)
}

func TestServeRefuses(t *testing.T) {
	root, p := t.TempDir(), newPool(t, "serve", serving)
	write(t, root, "vacio.txt", "")
	write(t, root, "roto.pdf", "%PDF-1.4\nnothing")
	big, err := os.Create(filepath.Join(root, "grande.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := big.Truncate(maxFile + 1); err != nil {
		t.Fatal(err)
	}
	big.Close()
	for path, code := range map[string]parse.Code{
		"vacio.txt": parse.Empty, "roto.pdf": parse.Corrupt, "grande.txt": parse.TooLarge,
		"fehlt.txt": parse.NotReadable, ".": parse.NotReadable,
	} {
		_, err := p.Parse(t.Context(), root, path, nil)
		wantCode(t, err, code)
	}
}

func TestServeNoPermission(t *testing.T) {
	root, p := t.TempDir(), newPool(t, "serve", serving)
	write(t, root, "secreto.txt", "no")
	if err := os.Chmod(filepath.Join(root, "secreto.txt"), 0); err != nil {
		t.Fatal(err)
	}
	if file, err := os.Open(filepath.Join(root, "secreto.txt")); err == nil {
		file.Close()
		t.Skip("this user may read everything")
	}
	_, err := p.Parse(t.Context(), root, "secreto.txt", nil)
	wantCode(t, err, parse.NotReadable)
}

// TestServeEnds leaves at the end of its input, also in the middle of a document.
func TestServeEnds(t *testing.T) {
	root := t.TempDir()
	write(t, root, "largo.md", strings.Repeat("una *frase* ", 1<<20))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = []string{playing + "=serve"}
	var out bytes.Buffer
	cmd.Stdout = &out
	parent, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := writeLine(parent, request{ID: 1, Op: opParse, Root: root, Path: "largo.md"}); err != nil {
		t.Fatal(err)
	}
	parent.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if said := out.String(); said != "{\"id\":0,\"ready\":true}\n" {
		t.Errorf("it said %.100q, and did not leave at once", said)
	}
}
