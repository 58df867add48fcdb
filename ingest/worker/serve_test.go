package worker

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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

// TestServeScan draws pages for OCR: of a document at the resolution that is
// asked for, within limits, of an image at its own.
func TestServeScan(t *testing.T) {
	root, p := t.TempDir(), newPool(t, "serve", serving)
	write(t, root, "uno.pdf", onePage)
	write(t, root, "girada.pdf", strings.Replace(onePage, "/MediaBox", "/Rotate 90/MediaBox", 1))
	write(t, root, "enorme.pdf", strings.Replace(onePage, "0 0 300 200", "0 0 14000 7000", 1))
	var photo bytes.Buffer
	if err := png.Encode(&photo, image.NewRGBA(image.Rect(0, 0, 70, 50))); err != nil {
		t.Fatal(err)
	}
	write(t, root, "foto", photo.String())
	for path, want := range map[string]image.Point{
		"uno.pdf": {1250, 833}, "girada.pdf": {833, 1250}, "enorme.pdf": {8192, 4096}, "foto": {70, 50},
	} {
		raw, err := p.Scan(t.Context(), root, path, 1, 300)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		size, err := png.DecodeConfig(bytes.NewReader(raw))
		if err != nil || size.Width != want.X || size.Height != want.Y || size.ColorModel != color.GrayModel {
			t.Errorf("%s has %d×%d pixels, error %v, want %v in grey", path, size.Width, size.Height, err, want)
		}
	}
	if raw, err := p.Page(t.Context(), root, "foto", 1); err != nil || !bytes.HasPrefix(raw, []byte("\x89PNG")) {
		t.Errorf("the page of an image: %v", err)
	}
	content, err := p.Parse(t.Context(), root, "foto", nil)
	if err != nil || content.Pages != 1 || len(content.NeedsOCR) != 1 || content.MIME != "image/png" {
		t.Errorf("an image is read as %+v, %v", content, err)
	}
	_, err = p.Scan(t.Context(), root, "foto", 2, 300)
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

// TestServeRecording looks at the beginning of a recording only, however long it is.
func TestServeRecording(t *testing.T) {
	root, p := t.TempDir(), newPool(t, "serve", serving)
	film, err := os.Create(filepath.Join(root, "boda.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := film.WriteString("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"); err != nil {
		t.Fatal(err)
	}
	if err := film.Truncate(3 * maxFile); err != nil {
		t.Fatal(err)
	}
	film.Close()
	content, err := p.Parse(t.Context(), root, "boda.bin", nil)
	if diff := cmp.Diff(parse.Content{MIME: "video/mp4", NeedsSpeech: true}, content, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
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
