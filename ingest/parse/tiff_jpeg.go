package parse

import (
	"bytes"
	"errors"
	"image"
	"image/draw"
	"image/jpeg"
	"slices"
)

// Scanners write TIFF files whose strips are JPEG, which the decoder does not know.
const (
	compressedJPEG = 7
	photometricRGB = 2
)

// adobeRGB is the mark of a JPEG whose colours are red, green and blue.
const adobeRGB = "\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00"

var errStrips = errors.New("the strips of the page are not what it says")

// decodeJPEG puts a page together of its strips.
func (t tiffPage) decodeJPEG() (image.Image, error) {
	size, err := t.config()
	if err != nil {
		return nil, err
	}
	page := image.NewRGBA(image.Rect(0, 0, size.Width, size.Height))
	starts, sizes := t.numbers(tagStrips), t.numbers(tagStripBytes)
	rows := min(uint64(t.number(tagRowsPerStrip)), uint64(size.Height))
	if len(starts) == 0 || len(starts) != len(sizes) || rows == 0 || uint64(len(starts)) > uint64(size.Height) {
		return nil, errStrips
	}
	for i, start := range starts {
		raw := t.from(start)
		strip, err := t.strip(raw[:min(uint64(sizes[i]), uint64(len(raw)))], image.Pt(size.Width, int(rows)))
		if err != nil {
			return nil, err
		}
		at := image.Rect(0, i*int(rows), size.Width, size.Height)
		draw.Draw(page, at, strip, strip.Bounds().Min, draw.Src)
	}
	return page, nil
}

// strip decodes a strip, whose tables may stand with the page.
func (t tiffPage) strip(raw []byte, size image.Point) (image.Image, error) {
	const mark = 2 // bytes of the marks that a JPEG begins and ends with
	if len(raw) < mark {
		return nil, errStrips
	}
	whole := raw[:mark:mark]
	if t.number(tagPhotometric) == photometricRGB {
		whole = append(whole, adobeRGB...)
	}
	if tables, _ := t.value(tagJPEGTables); len(tables) > 2*mark {
		whole = append(whole, tables[mark:len(tables)-mark]...)
	}
	whole = slices.Concat(whole, raw[mark:])
	config, err := jpeg.DecodeConfig(bytes.NewReader(whole))
	if err != nil {
		return nil, err
	}
	const block = 16 // a strip may be filled up to whole blocks
	if config.Width > size.X+block || config.Height > size.Y+block {
		return nil, errStrips
	}
	return jpeg.Decode(bytes.NewReader(whole))
}
