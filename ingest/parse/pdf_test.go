package parse

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// startPDF makes one engine for all tests: a start takes seconds. Its cache is
// kept for the next run.
var startPDF = sync.OnceValues(func() (*PDF, error) {
	return NewPDF(context.Background(), PDFConfig{CacheDir: filepath.Join(os.TempDir(), "acervo-test-pdfium")})
})

func testPDF(t testing.TB) *PDF {
	t.Helper()
	p, err := startPDF()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readPDF(t *testing.T, data []byte) (Content, error) {
	t.Helper()
	pdf, start := testPDF(t), time.Now()
	content, err := pdf.Parse(t.Context(), File{Name: "a.pdf", Data: data}, nil)
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if err == nil {
		checkContent(t, content)
		checkPages(t, content)
	}
	return content, err
}

func wantError(t *testing.T, err error, code Code) {
	t.Helper()
	var reason *Error
	if !errors.As(err, &reason) || reason.Code != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

// pdfFile writes objects, numbered from 1, as a document whose catalog is the first.
func pdfFile(objects ...string) []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.5\n")
	offsets := make([]int, len(objects))
	for i, object := range objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return out.Bytes()
}

func pdfStream(dictionary, data string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dictionary, len(data), data)
}

// pdfPages writes a document of pages, each of the extra entries of its
// dictionary and its content stream, with the font F1 and the picture I1.
func pdfPages(pages ...[2]string) []byte {
	const fixed = 4
	var kids strings.Builder
	objects := []string{
		"<</Type/Catalog/Pages 2 0 R>>", "",
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
		pdfStream("/Type/XObject/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray", "\x20"),
	}
	for i, page := range pages {
		n := fixed + 1 + 2*i
		fmt.Fprintf(&kids, "%d 0 R ", n)
		objects = append(objects,
			fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>/XObject<</I1 4 0 R>>>>/Contents %d 0 R%s>>", n+1, page[0]),
			pdfStream("", page[1]))
	}
	objects[1] = fmt.Sprintf("<</Type/Pages/Kids[%s]/Count %d>>", kids.String(), len(pages))
	return pdfFile(objects...)
}

const scan = "q 600 0 0 800 0 0 cm /I1 Do Q "

func line(x, y int, text string) string {
	return fmt.Sprintf("BT /F1 12 Tf %d %d Td (%s) Tj ET ", x, y, text)
}

func TestPDFText(t *testing.T) {
	content, err := readPDF(t, pdfPages(
		[2]string{"", line(60, 700, `La garant\355a dura`) + line(60, 686, `tres a\361os.`) + line(60, 600, "Otro asunto.")},
		[2]string{"", line(60, 700, "Segunda hoja.")},
	))
	if err != nil {
		t.Fatal(err)
	}
	if want := "La garantía dura\ntres años.\n\nOtro asunto.\n\nSegunda hoja."; content.Text != want {
		t.Errorf("text %q, want %q", content.Text, want)
	}
	if content.Pages != 2 || len(content.Blocks) != 3 || content.Blocks[2].Page != 2 || len(content.Blocks[0].Lines) != 2 {
		t.Errorf("content %+v", content)
	}
	wantBox(t, content.Blocks[0].Lines[0].Box, [4]float64{0.1, 0.11, 0.24, 0.13})
}

func wantBox(t *testing.T, got, want [4]float64) {
	t.Helper()
	for i := range got {
		if math.Abs(got[i]-want[i]) > 0.015 {
			t.Errorf("box %.3f, want about %.3f", got, want)
			return
		}
	}
}

// TestPDFPlaces finds the box of a line where a reader sees it.
func TestPDFPlaces(t *testing.T) {
	for _, test := range []struct {
		page string
		want [4]float64
	}{
		{"/Rotate 90", [4]float64{0.87, 0.1, 0.89, 0.212}},
		{"/Rotate 180", [4]float64{0.788, 0.87, 0.9, 0.89}},
		{"/Rotate 270", [4]float64{0.11, 0.788, 0.13, 0.9}},
		{"/CropBox[50 600 350 800]", [4]float64{0.033, 0.44, 0.258, 0.515}},
		{"/MediaBox[-100 0 600 800]", [4]float64{0.228, 0.11, 0.325, 0.13}},
	} {
		content, err := readPDF(t, pdfPages([2]string{test.page, line(60, 700, "Donde estoy")}))
		if err != nil || len(content.Blocks) != 1 {
			t.Fatalf("%s: content %+v, error %v", test.page, content, err)
		}
		t.Log(test.page)
		wantBox(t, content.Blocks[0].Lines[0].Box, test.want)
	}
}

func TestPDFHeadings(t *testing.T) {
	body := line(60, 640, "Un texto de tama\361o normal, que es el de casi todo el documento.")
	content, err := readPDF(t, pdfPages(
		[2]string{"", "BT /F1 24 Tf 60 700 Td (Manual) Tj ET " + body},
		[2]string{"", "BT /F1 16 Tf 60 700 Td (Limpieza) Tj ET " + body},
	))
	if err != nil {
		t.Fatal(err)
	}
	if content.Title != "Manual" {
		t.Errorf("title %q", content.Title)
	}
	if under := content.Blocks[3].Under; !slices.Equal(under, []string{"Manual", "Limpieza"}) {
		t.Errorf("the last paragraph is under %q", under)
	}
}

// TestPDFOCR tells pages that need OCR from those that do not.
func TestPDFOCR(t *testing.T) {
	text := line(60, 700, "Una hoja con bastante texto para leer.")
	stamp, layer := line(60, 20, "fax 3"), "BT 3 Tr /F1 12 Tf 60 700 Td (Hola) Tj ET "
	curves := strings.Repeat("10 10 m 20 20 30 30 40 10 c f ", 150)
	for name, test := range map[string]struct {
		pages []string
		code  Code
		ocr   []int
	}{
		"scan":            {[]string{scan}, "", []int{1}},
		"curves":          {[]string{curves}, "", []int{1}},
		"mixed":           {[]string{text, scan, text}, "", []int{2}},
		"stamped scan":    {[]string{scan + stamp}, "", []int{1}},
		"signed scan":     {[]string{scan + line(60, 20, "Firmado por Begonia Ibarra el 3 de marzo. Verificable en sede.example.org")}, "", []int{1}},
		"layer, signed":   {[]string{scan + layer + line(60, 20, "Firmado por Begonia Ibarra el 3 de marzo.")}, "", nil},
		"illustrated":     {[]string{"q 300 0 0 400 0 0 cm /I1 Do Q " + text}, "", nil},
		"shifted":         {[]string{line(60, 700, strings.Repeat("7KLV LV WKH WHVW ZLWK ZURQJ OHWWHUV ", 5))}, "", []int{1}},
		"gibberish layer": {[]string{scan + "BT 3 Tr /F1 12 Tf 60 700 Td (" + strings.Repeat("tl|c f1r$t rnrn ~grc<d ", 10) + ") Tj ET "}, "", []int{1}},
		"layer of text":   {[]string{scan + layer}, "", nil},
		"blank":           {[]string{""}, Empty, nil},
		"a line":          {[]string{"10 10 m 20 20 l S"}, Empty, nil},
		"short":           {[]string{stamp}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var pages [][2]string
			for _, p := range test.pages {
				pages = append(pages, [2]string{"", p})
			}
			content, err := readPDF(t, pdfPages(pages...))
			if test.code != "" {
				wantError(t, err, test.code)
			} else if err != nil || !slices.Equal(content.NeedsOCR, test.ocr) {
				t.Errorf("needs OCR %v, error %v, want %v", content.NeedsOCR, err, test.ocr)
			}
		})
	}
}

// TestPDFHugePicture: pdfium leaves a picture out that does not fit, and draws the stamp on it. That is no page that was read.
func TestPDFHugePicture(t *testing.T) {
	if testing.Short() {
		t.Skip("600 MB are packed and unpacked")
	}
	const side = 14_000
	var packed bytes.Buffer
	w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	row := bytes.Repeat([]byte{90, 40, 200}, side)
	for range side {
		_, _ = w.Write(row) // into memory
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := pdfFile("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[5 0 R]/Count 1>>", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
		pdfStream(fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %[1]d/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode", side), packed.String()),
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>/XObject<</I1 4 0 R>>>>/Contents 6 0 R>>",
		pdfStream("", scan+line(60, 20, "Firmado por Begonia Ibarra el 3 de marzo.")))
	_, err = testPDF(t).Scan(t.Context(), data, 1, 300)
	wantError(t, err, TooLarge)
}

// TestPDFNotes reads what is filled in and written beside.
func TestPDFNotes(t *testing.T) {
	page := "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Annots[4 0 R 5 0 R 6 0 R]>>"
	content, err := readPDF(t, pdfFile(
		"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R 6 0 R]>>>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", page,
		"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/TU(Nombre)/V(Bego\\361a)/Rect[60 700 200 720]>>",
		"<</Type/Annot/Subtype/Text/Contents(Falta la firma)/Rect[60 600 80 620]>>",
		"<</Type/Annot/Subtype/Widget/FT/Tx/T(empty)/Rect[60 500 200 520]>>",
	))
	if err != nil {
		t.Fatal(err)
	}
	if want := "Falta la firma\n\nNombre: Begoña"; content.Text != want {
		t.Errorf("text %q, want %q", content.Text, want)
	}
}

// TestPDFHostile ends with an error or with text, and in time.
func TestPDFHostile(t *testing.T) {
	good := pdfPages([2]string{"", line(60, 700, "Texto bueno de verdad.")})
	loop := bytes.Replace(good, []byte("/Root 1 0 R"), fmt.Appendf(nil, "/Root 1 0 R/Prev %d", bytes.Index(good, []byte("xref"))), 1)
	for name, test := range map[string]struct {
		data []byte
		text string // or an error
	}{
		"Prev loop":        {loop, "Texto bueno de verdad."},
		"junk before":      {append([]byte("junk\n"), good...), "Texto bueno de verdad."},
		"no table":         {append(good[:bytes.Index(good, []byte("xref")):bytes.Index(good, []byte("xref"))], "trailer <</Root 1 0 R>>"...), "Texto bueno de verdad."},
		"Kids cycle":       {pdfFile("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[2 0 R]/Count 1>>"), ""},
		"no pages":         {pdfFile("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[]/Count 0>>"), ""},
		"a billion pages":  {pdfFile("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[]/Count 1000000000>>"), ""},
		"stream in itself": {pdfFile("<</Type/Catalog/Pages 2 0 R>>", pdfStream("/Type/ObjStm/N 1/First 4/Extends 2 0 R", "2 0 <<>>")), ""},
		"nothing":          {[]byte("%PDF-1.7\n"), ""},
		"no document":      {bytes.Repeat([]byte("lorem ipsum "), 1000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := readPDF(t, test.data)
			if (err != nil) != (test.text == "") || content.Text != test.text {
				t.Errorf("text %q, error %v", content.Text, err)
			}
		})
	}
	_, err := readPDF(t, nil)
	wantError(t, err, Empty)
}

// TestPDFBomb refuses what does not fit in its memory, and reads the next document.
func TestPDFBomb(t *testing.T) {
	var packed bytes.Buffer
	w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 400 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = readPDF(t, pdfFile("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>", pdfStream("/Filter/FlateDecode", packed.String())))
	wantError(t, err, Bomb)
	_, err = readPDF(t, pdfStreamFile("/Filter/JBIG2Decode", "\x00\x00\x00\x00\x30\x00\x01\x00\x00\x00\x13\x00\x01\x86\xa0\x00\x01\x86\xa0\x00\x00"))
	wantError(t, err, Bomb)
	if _, err = readPDF(t, pdfPages([2]string{"", line(60, 700, "Texto bueno de verdad.")})); err != nil {
		t.Errorf("the next document: %v", err)
	}
}

func pdfStreamFile(dictionary, data string) []byte {
	return pdfFile("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>", pdfStream(dictionary, data))
}

func TestPDFManyPages(t *testing.T) {
	pages := make([][2]string, 1000)
	for i := range pages {
		pages[i][1] = line(60, 700, fmt.Sprintf("Esta es la hoja %d de todas.", i+1))
	}
	heard := 0
	content, err := testPDF(t).Parse(t.Context(), File{Data: pdfPages(pages...)}, func(done, total int, unit string) {
		if heard++; done != heard || total != 1000 || unit != "page" {
			t.Errorf("heard of %s %d of %d", unit, done, total)
		}
	})
	if err != nil || heard != 1000 || content.Pages != 1000 || pageText(content, 1000) != "Esta es la hoja 1000 de todas." {
		t.Errorf("%d pages, error %v", content.Pages, err)
	}
}

func TestPDFCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	data := pdfPages([2]string{"", line(60, 700, "uno")}, [2]string{"", line(60, 700, "dos")})
	_, err := testPDF(t).Parse(ctx, File{Data: data}, func(int, int, string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestPDFPage(t *testing.T) {
	p := testPDF(t)
	data := pdfPages([2]string{"", line(60, 700, "uno")}, [2]string{"/MediaBox[0 0 14000 7000]", ""}, [2]string{"/Rotate 90", ""})
	for n, want := range map[int][2]int{1: {1250, 1667}, 2: {2000, 1000}, 3: {1667, 1250}} {
		image, err := p.Page(t.Context(), data, n)
		if err != nil {
			t.Fatal(err)
		}
		size, err := png.DecodeConfig(bytes.NewReader(image))
		if err != nil || [2]int{size.Width, size.Height} != want {
			t.Errorf("page %d of %d×%d pixels, error %v, want %v", n, size.Width, size.Height, err, want)
		}
	}
	for _, n := range []int{-1, 0, 4} {
		_, err := p.Page(t.Context(), data, n)
		wantError(t, err, Unsupported)
	}
	_, err := p.Page(t.Context(), []byte("no document"), 1)
	wantError(t, err, Corrupt)
}
