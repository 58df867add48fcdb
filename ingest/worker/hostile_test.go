package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// endlessPage is a page of letters as wide as the page, which is 1400 km wide:
// pdfium marks each letter, point by point, on a mask of the page. With 20,000 of them it
// would be at it for the better part of an hour, in one call that nothing interrupts.
func endlessPage() string {
	letters := strings.Repeat("BT /F1 100000000 Tf (M) Tj ET\n", 20_000)
	return "%PDF-1.4\n" +
		"1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n" +
		"2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj\n" +
		"3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 100000000 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>> endobj\n" +
		fmt.Sprintf("4 0 obj <</Length %d>> stream\n%sendstream endobj\n", len(letters), letters) +
		"5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj\ntrailer <</Root 1 0 R>>\n"
}

// pdfium refuses what follows, as it has no catalog; the second engine goes on
// for ever, as the table of objects says that the one before it is itself, or
// dies, as there is no memory for as many objects.
func endlessTable() string {
	head := "%PDF-1.4\n% " + strings.Repeat("x", 100) + "\n"
	return fmt.Sprintf("%sxref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 1/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", head, len(head), len(head))
}

func deadlyTable() string {
	head := "%PDF-1.5\n% " + strings.Repeat("x", 100) + "\n"
	return fmt.Sprintf("%s1 0 obj\n<</Type/XRef/Size 1000000000000/W[1 2 1]/Length 4>>\nstream\nxxxx\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", head, len(head))
}

// TestRealHostilePDF ends a real child that a real file keeps or kills, and reads the next document.
func TestRealHostilePDF(t *testing.T) {
	root := t.TempDir()
	p := newPool(t, "serve", func(c *Config) {
		serving(c)
		c.Stall = 3 * time.Second
	})
	write(t, root, "bueno.pdf", onePage)
	for name, test := range map[string]struct {
		data string
		code parse.Code
	}{
		"page.pdf":   {endlessPage(), parse.Timeout},
		"table.pdf":  {endlessTable(), parse.Corrupt}, // as pdfium says
		"deadly.pdf": {deadlyTable(), parse.Corrupt},
	} {
		write(t, root, name, test.data)
		_, err := p.Parse(t.Context(), root, name, nil)
		wantCode(t, err, test.code)
		if content, err := p.Parse(t.Context(), root, "bueno.pdf", nil); err != nil || content.Text != "Garantia de fabrica" {
			t.Errorf("after %s: %q, error %v", name, content.Text, err)
		}
	}
}
