package parse

import (
	"math"
	"strings"
	"unicode"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
)

// A pdfPage is what one page holds.
type pdfPage struct {
	number int
	lines  []pdfLine
	notes  []string // form values and notes, which are no text of the page
	shows  bool     // there is something to see
	ocr    bool     // what is seen is not in the text
	failed bool
}

// A pdfLine is a line of text where a reader sees it.
type pdfLine struct {
	text   string
	box    [4]float64 // 0–1 from the top left of the page as shown
	size   float64    // of its letters, in points
	hyphen bool       // its last word goes on in the next line
}

// page reads page n, from 1.
func (d *pdfDocument) page(n int) (pdfPage, error) {
	page := pdfPage{number: n}
	frame, err := d.frame(n)
	if err != nil {
		return page, err
	}
	chars, err := d.engine.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: d.at(n)})
	if err != nil {
		d.failed(err)
		return page, err
	}
	text := &pdfText{document: d, page: chars.TextPage, frame: frame}
	if err := text.read(); err != nil {
		d.failed(err)
		return page, err
	}
	if _, err := d.engine.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: chars.TextPage}); err != nil {
		d.failed(err)
		return page, err
	}
	page.lines = joinHyphens(text.lines)
	page.shows = len(page.lines) > 0
	switch {
	case text.rubbish(), garbled(page.lines):
		page.shows, page.ocr, page.lines = true, true, nil
	case text.letters < stampLetters:
		page.shows, page.ocr = d.look(n, frame, text)
	}
	page.notes = d.notes(n)
	return page, nil
}

// A pdfFrame maps points of a page's own space to those of the page as shown.
type pdfFrame struct {
	left, bottom, width, height float64
	rotation                    enums.FPDF_PAGE_ROTATION // clockwise quarter turns
}

func (d *pdfDocument) frame(n int) (pdfFrame, error) {
	bounds, err := d.engine.FPDF_GetPageBoundingBox(&requests.FPDF_GetPageBoundingBox{Page: d.at(n)})
	if err != nil {
		d.failed(err)
		return pdfFrame{}, err
	}
	rotation, err := d.engine.FPDFPage_GetRotation(&requests.FPDFPage_GetRotation{Page: d.at(n)})
	if err != nil {
		d.failed(err)
		return pdfFrame{}, err
	}
	r := bounds.Rect
	return pdfFrame{
		left: float64(r.Left), bottom: float64(r.Bottom),
		width: float64(r.Right - r.Left), height: float64(r.Top - r.Bottom),
		rotation: rotation.PageRotation,
	}, nil
}

// box normalises a rectangle of the page's space.
func (f pdfFrame) box(left, bottom, right, top float64) [4]float64 {
	x0, y0 := share(min(left, right)-f.left, f.width), 1-share(max(top, bottom)-f.bottom, f.height)
	x1, y1 := share(max(left, right)-f.left, f.width), 1-share(min(top, bottom)-f.bottom, f.height)
	switch f.rotation {
	case enums.FPDF_PAGE_ROTATION_90_CW:
		return [4]float64{1 - y1, x0, 1 - y0, x1}
	case enums.FPDF_PAGE_ROTATION_180_CW:
		return [4]float64{1 - x1, 1 - y1, 1 - x0, 1 - y0}
	case enums.FPDF_PAGE_ROTATION_270_CW:
		return [4]float64{y0, 1 - x1, y1, 1 - x0}
	default:
		return [4]float64{x0, y0, x1, y1}
	}
}

// share is part/whole within 0–1, and 0 where there is no number.
func share(part, whole float64) float64 {
	s := part / whole
	if math.IsNaN(s) || whole <= 0 {
		return 0
	}
	return min(max(s, 0), 1)
}

// A pdfText reads the text of a page, character by character.
type pdfText struct {
	document *pdfDocument
	page     references.FPDF_TEXTPAGE
	frame    pdfFrame
	lines    []pdfLine

	shown, letters, digits, unmapped int // characters

	line  strings.Builder // the line being read
	count int             // of its visible characters
	rect  [4]float64      // around them: left, bottom, right, top
	index int             // of the last of them
}

// pdfium's marks among the characters: a hyphen that it found at a line's end.
const hyphenMark, hyphenMarkOld = 0x2, 0xFFFE

// usableLetters is how many letters make the text of a page its text; fewer than
// stampLetters are a stamp, or a note on who signed it, if the page is a scan.
const (
	usableLetters = 16
	stampLetters  = 400
)

// fontSample is how many characters of a page are asked for their mapping.
const fontSample = 200

func (t *pdfText) read() error {
	count, err := t.document.engine.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: t.page})
	if err != nil {
		return err
	}
	for i := range count.Count {
		char, err := t.document.engine.FPDFText_GetUnicode(&requests.FPDFText_GetUnicode{TextPage: t.page, Index: i})
		if err != nil {
			return err
		}
		switch r := rune(char.Unicode); r {
		case 0, '\r':
		case '\n':
			t.endLine(false)
		case hyphenMark, hyphenMarkOld:
			t.endLine(true)
		default:
			t.line.WriteRune(r)
			if unicode.IsSpace(r) {
				continue
			}
			if err := t.see(i, r); err != nil {
				return err
			}
		}
	}
	t.endLine(false)
	return nil
}

// see widens the line's box by a visible character and counts what it is.
func (t *pdfText) see(i int, r rune) error {
	t.shown++
	switch {
	case unicode.IsLetter(r):
		t.letters++
	case unicode.IsDigit(r):
		t.digits++
	}
	if t.shown <= fontSample {
		mapped, err := t.document.engine.FPDFText_HasUnicodeMapError(&requests.FPDFText_HasUnicodeMapError{TextPage: t.page, Index: i})
		if err == nil && mapped.HasUnicodeMapError {
			t.unmapped++
		}
	}
	loose, err := t.document.engine.FPDFText_GetLooseCharBox(&requests.FPDFText_GetLooseCharBox{TextPage: t.page, Index: i})
	if err != nil {
		if t.document.failed(err) {
			return err
		}
		return nil // a character that pdfium made up has no box
	}
	box := [4]float64{float64(loose.Rect.Left), float64(loose.Rect.Bottom), float64(loose.Rect.Right), float64(loose.Rect.Top)}
	if t.count > 0 {
		box = [4]float64{min(t.rect[0], box[0]), min(t.rect[1], box[1]), max(t.rect[2], box[2]), max(t.rect[3], box[3])}
	}
	t.rect, t.index = box, i
	t.count++
	return nil
}

// rubbish reports whether the characters are numbers of glyphs that nothing
// maps to letters: what the page shows is not what they say.
func (t *pdfText) rubbish() bool {
	return t.shown > 0 && t.unmapped*2 > min(t.shown, fontSample) || t.shown > 2 && t.letters == 0 && t.digits*2 < t.shown
}

func (t *pdfText) endLine(hyphen bool) {
	if text := cleanPDF(t.line.String()); strings.TrimSpace(text) != "" {
		t.lines = append(t.lines, pdfLine{
			text: text, hyphen: hyphen, size: t.size(),
			box: t.frame.box(t.rect[0], t.rect[1], t.rect[2], t.rect[3]),
		})
	}
	t.line.Reset()
	t.count = 0
	t.rect = [4]float64{}
}

// size is that of the line's last visible character as it is drawn, in points,
// and 0 where the document says nonsense.
func (t *pdfText) size() float64 {
	if size := t.drawnSize(); size > 0 && size < 10_000 {
		return size
	}
	return 0
}

func (t *pdfText) drawnSize() float64 {
	if t.count == 0 {
		return 0
	}
	engine := t.document.engine
	font, err := engine.FPDFText_GetFontSize(&requests.FPDFText_GetFontSize{TextPage: t.page, Index: t.index})
	if err != nil {
		return 0
	}
	matrix, err := engine.FPDFText_GetMatrix(&requests.FPDFText_GetMatrix{TextPage: t.page, Index: t.index})
	if err != nil {
		return font.FontSize
	}
	return font.FontSize * math.Hypot(float64(matrix.Matrix.C), float64(matrix.Matrix.D))
}
