package parse

import (
	"bytes"
	"encoding/binary"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/responses"
)

// Limits of a look at a page: objects in all, and forms within forms.
const (
	maxLooked = 2000
	maxDepth  = 4
)

// manyPaths is how many drawn shapes may be letters drawn as curves.
const manyPaths = 100

// picturePage is the share of a page that pictures cover where they are what it shows.
const picturePage = 0.25

// scannedPage is the share that one picture covers of a page that was scanned.
const scannedPage = 0.8

// look says of a page with little text whether it shows anything, and whether
// that is a picture of text or letters drawn as curves, to be read by OCR.
func (d *pdfDocument) look(n int, frame pdfFrame, text *pdfText) (shows, ocr bool) {
	l := pdfLook{document: d, area: frame.width * frame.height}
	count, err := d.engine.FPDFPage_CountObjects(&requests.FPDFPage_CountObjects{Page: d.at(n)})
	if err != nil {
		d.failed(err)
		return false, false
	}
	for i := 0; i < count.Count && l.objects < maxLooked && !d.trapped; i++ {
		object, err := d.engine.FPDFPage_GetObject(&requests.FPDFPage_GetObject{Page: d.at(n), Index: i})
		if err == nil {
			l.see(object.PageObject, 0)
		}
	}
	switch {
	case l.ocrLayer():
		// A scanner has read the page and put its words behind the picture.
		return true, false
	case text.letters >= usableLetters:
		return true, l.largest >= scannedPage && l.invisible == 0
	case text.letters == 0 && l.images > 0 && text.digits == 0:
		return true, true
	default:
		return l.objects > 0, l.pictures >= picturePage || l.paths > manyPaths
	}
}

// A pdfLook counts what a page shows.
type pdfLook struct {
	document *pdfDocument
	area     float64

	objects, images, paths, visible, invisible int     // texts are visible or not
	pictures, largest                          float64 // shares of the page: all, and the largest
}

// cover counts a picture within bounds.
func (l *pdfLook) cover(bounds *responses.FPDFPageObj_GetBounds) {
	part := share(float64(bounds.Right-bounds.Left)*float64(bounds.Top-bounds.Bottom), l.area)
	l.pictures, l.largest = l.pictures+part, max(l.largest, part)
}

func (l *pdfLook) ocrLayer() bool { return l.images > 0 && l.invisible > 0 && l.visible == 0 }

func (l *pdfLook) see(object references.FPDF_PAGEOBJECT, depth int) {
	engine := l.document.engine
	kind, err := engine.FPDFPageObj_GetType(&requests.FPDFPageObj_GetType{PageObject: object})
	if err != nil {
		l.document.failed(err)
		return
	}
	l.objects++
	switch kind.Type {
	case enums.FPDF_PAGEOBJ_IMAGE, enums.FPDF_PAGEOBJ_SHADING:
		l.images++
		bounds, err := engine.FPDFPageObj_GetBounds(&requests.FPDFPageObj_GetBounds{PageObject: object})
		if err == nil && depth == 0 {
			l.cover(bounds)
		}
	case enums.FPDF_PAGEOBJ_PATH:
		l.paths++
	case enums.FPDF_PAGEOBJ_TEXT:
		mode, err := engine.FPDFTextObj_GetTextRenderMode(&requests.FPDFTextObj_GetTextRenderMode{PageObject: object})
		if err == nil && mode.TextRenderMode == enums.FPDF_TEXTRENDERMODE_INVISIBLE {
			l.invisible++
		} else {
			l.visible++
		}
	case enums.FPDF_PAGEOBJ_FORM:
		l.form(object, depth)
	}
}

// form looks into a group of objects. Those have bounds of their own space, so
// pictures in it count as large as the group.
func (l *pdfLook) form(object references.FPDF_PAGEOBJECT, depth int) {
	engine, images := l.document.engine, l.images
	count, err := engine.FPDFFormObj_CountObjects(&requests.FPDFFormObj_CountObjects{PageObject: object})
	if err != nil || depth == maxDepth {
		return
	}
	for i := 0; i < count.Count && l.objects < maxLooked; i++ {
		inner, err := engine.FPDFFormObj_GetObject(&requests.FPDFFormObj_GetObject{PageObject: object, Index: uint64(i)})
		if err == nil {
			l.see(inner.PageObject, depth+1)
		}
	}
	if depth > 0 || l.images == images {
		return
	}
	bounds, err := engine.FPDFPageObj_GetBounds(&requests.FPDFPageObj_GetBounds{PageObject: object})
	if err == nil {
		l.cover(bounds)
	}
}

// maxJBIG2 bounds a JBIG2 picture, in pixels: twice the side of an A0 scan at 600 dpi.
const maxJBIG2 = 4 << 30

// jbig2Bomb reports whether a stream says, in its first segment, that it
// unpacks to a bitmap beyond any scan. No engine needs to try.
func jbig2Bomb(data []byte) bool {
	const segment = 19 // header and page size of a page information segment
	for {
		i := bytes.Index(data, []byte("/JBIG2Decode"))
		if i < 0 {
			return false
		}
		data = data[i+1:]
		head := data[:min(len(data), 512)]
		_, body, found := bytes.Cut(head, []byte("stream"))
		body = bytes.TrimLeft(body, "\r\n")
		if !found || len(body) < segment || body[4]&0x3f != 48 {
			continue
		}
		width, height := binary.BigEndian.Uint32(body[11:]), binary.BigEndian.Uint32(body[15:])
		if height != 0xffffffff && uint64(width)*uint64(height) > maxJBIG2 {
			return true
		}
	}
}
