package parse

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"math"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/requests"
)

// Pages are drawn for readers at 150 dpi, smaller where a side would be longer than 2000 pixels.
const (
	pageDPI  = 150
	pageSide = 2000
)

// Pages are drawn for OCR within these limits: an A3 at 400 dpi, and what the engines take.
const (
	scanPixels = 32 << 20
	scanSide   = 16_000
)

// Page draws page n, from 1, of a document as a PNG. A document without that
// page is Unsupported; the other errors are those of Parse.
func (p *PDF) Page(ctx context.Context, data []byte, n int) ([]byte, error) {
	return p.draw(ctx, data, n, requests.RenderImageFormatRGBA, func(width, height float64) float64 {
		return min(float64(pageDPI)/72, pageSide/max(width, height))
	})
}

// Scan draws page n, from 1, in grey for OCR, at dpi or as near to it as its limits allow.
func (p *PDF) Scan(ctx context.Context, data []byte, n, dpi int) ([]byte, error) {
	return p.draw(ctx, data, n, requests.RenderImageFormatGrayscale, func(width, height float64) float64 {
		return min(float64(dpi)/72, scanScale(width, height))
	})
}

// scanScale is what a page of that size is at most multiplied by.
func scanScale(width, height float64) float64 {
	return min(scanSide/max(width, height), math.Sqrt(scanPixels/(width*height)))
}

// draw draws a page as large as scale says, given its size in points.
func (p *PDF) draw(ctx context.Context, data []byte, n int, format requests.RenderImageFormat, scale func(width, height float64) float64) ([]byte, error) {
	if jbig2Bomb(data) {
		return nil, Errorf(Bomb, "it holds a picture of more than %d megapixels", maxJBIG2>>20)
	}
	d, err := p.open(ctx, data)
	if err != nil {
		return nil, err
	}
	defer d.close()
	if n < 1 || n > d.pages {
		return nil, noPage(n, d.pages)
	}
	size, err := d.engine.GetPageSize(&requests.GetPageSize{Page: d.at(n)})
	if err != nil {
		return nil, d.check(err)
	}
	width, height := max(size.Width, 1), max(size.Height, 1)
	by := scale(width, height)
	drawn, err := d.engine.RenderPageInPixels(&requests.RenderPageInPixels{
		Page: d.at(n), Document: &d.ref, RenderForm: true, RenderFlags: enums.FPDF_RENDER_FLAG_ANNOT, ImageFormat: format,
		Width: max(int(math.Round(width*by)), 1), Height: max(int(math.Round(height*by)), 1),
	})
	if err != nil {
		return nil, d.check(err)
	}
	defer drawn.Cleanup()
	if grey, ok := drawn.Result.RenderedImage.(*image.Gray); ok && isBlank(grey) && d.hugePicture(n) {
		return nil, Errorf(TooLarge, "page %d holds a picture of more than %d MB, which cannot be drawn", n, drawable/1_000_000)
	}
	return encodePage(drawn.Result.RenderedImage, n)
}

// isBlank reports whether nothing is drawn on a page, or no more than a stamp.
func isBlank(img *image.Gray) bool {
	const white, stamp = 0xFF, 200 // less than one pixel in so many
	width, marks := img.Rect.Dx(), 0
	for y := range img.Rect.Dy() { // a row may be padded
		for _, v := range img.Pix[y*img.Stride:][:width] {
			if v != white {
				marks++
			}
		}
	}
	return marks*stamp < width*img.Rect.Dy()
}

// drawable is the size of a picture, in bytes, that was seen to fit in the
// sandbox's memory beside its page: 81 megapixels in colour.
const drawable = 243_000_000

// hugePicture reports whether a page holds a picture that may not have fit in
// the sandbox: pdfium leaves such a one out without a word.
func (d *pdfDocument) hugePicture(n int) bool {
	count, err := d.engine.FPDFPage_CountObjects(&requests.FPDFPage_CountObjects{Page: d.at(n)})
	if err != nil {
		return d.failed(err)
	}
	for i := range min(count.Count, maxLooked) {
		object, err := d.engine.FPDFPage_GetObject(&requests.FPDFPage_GetObject{Page: d.at(n), Index: i})
		if err != nil {
			continue
		}
		picture, err := d.engine.FPDFImageObj_GetImageMetadata(&requests.FPDFImageObj_GetImageMetadata{ImageObject: object.PageObject, Page: d.at(n)})
		if err != nil {
			continue
		}
		m := picture.ImageMetadata
		if float64(m.Width)*float64(m.Height)*float64(max(m.BitsPerPixel, 1))/8 > drawable {
			return true
		}
	}
	return false
}

func noPage(n, pages int) *Error {
	return Errorf(Unsupported, "it has %d pages, and no page %d", pages, n)
}

func encodePage(img image.Image, n int) ([]byte, error) {
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&out, img); err != nil {
		return nil, Errorf(Corrupt, "page %d cannot be drawn", n)
	}
	return out.Bytes(), nil
}
