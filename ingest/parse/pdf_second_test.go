package parse

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// samePages is a PDF of so many pages, which are all the same one.
func samePages(pages int) []byte {
	text := "BT /F 12 Tf 72 700 Td (Carta de pago) Tj ET"
	objects := []string{
		"<</Type/Catalog/Pages 2 0 R>>",
		fmt.Sprintf("<</Type/Pages/Count %d/Kids[%s]>>", pages, strings.Repeat("3 0 R ", pages)),
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", len(text), text),
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
	}
	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n")
	table := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for i, o := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", out.Len())
		fmt.Fprintf(&out, "%d 0 obj%s\nendobj\n", i+1, o)
	}
	start := out.Len()
	fmt.Fprintf(&out, "%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", table, len(objects)+1, start)
	return out.Bytes()
}

// The second engine reads a bounded number of pages, and says so of a document that has more.
func TestSecondOpinionIsBounded(t *testing.T) {
	const most = 20
	for pages, want := range map[int][]string{3: nil, 25: {"only the first 20 of its 25 pages were read"}} {
		c, err := secondOpinion(t.Context(), samePages(pages), most)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(c.Warnings, want) || c.Pages != min(pages, most) || !strings.Contains(c.Text, "Carta de pago") {
			t.Errorf("%d pages: warnings %q of %d that were read", pages, c.Warnings, c.Pages)
		}
	}
}
