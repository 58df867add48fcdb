package parse

import (
	"bytes"
	"context"
	"image/png"
	"math"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/requests"
)

// Pages are drawn at 150 dpi, smaller where a side would be longer than 2000 pixels.
const (
	pageDPI  = 150
	pageSide = 2000
)

// Page draws page n, from 1, of a document as a PNG. A document without that
// page is Unsupported; the other errors are those of Parse.
func (p *PDF) Page(ctx context.Context, data []byte, n int) ([]byte, error) {
	if jbig2Bomb(data) {
		return nil, Errorf(Bomb, "it holds a picture of more than %d megapixels", maxJBIG2>>20)
	}
	d, err := p.open(ctx, data)
	if err != nil {
		return nil, err
	}
	defer d.close()
	if n < 1 || n > d.pages {
		return nil, Errorf(Unsupported, "it has %d pages, and no page %d", d.pages, n)
	}
	size, err := d.engine.GetPageSize(&requests.GetPageSize{Page: d.at(n)})
	if err != nil {
		return nil, d.check(err)
	}
	scale := min(float64(pageDPI)/72, pageSide/max(size.Width, size.Height, 1))
	drawn, err := d.engine.RenderPageInPixels(&requests.RenderPageInPixels{
		Page: d.at(n), Document: &d.ref, RenderForm: true, RenderFlags: enums.FPDF_RENDER_FLAG_ANNOT,
		Width: max(int(math.Round(size.Width*scale)), 1), Height: max(int(math.Round(size.Height*scale)), 1),
	})
	if err != nil {
		return nil, d.check(err)
	}
	defer drawn.Cleanup()
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&out, drawn.Result.RenderedImage); err != nil {
		return nil, Errorf(Corrupt, "page %d cannot be drawn", n)
	}
	return out.Bytes(), nil
}
