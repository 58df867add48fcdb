package sidecar

import (
	"bytes"
	"image"
	"image/draw"
	_ "image/jpeg" // what Recognize is given
	"image/png"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// maxPixels is the largest image that is read: a page of A1 at 300 dpi.
const maxPixels = 70e6

// checkPicture reads an image's header. Nothing else may reach Tesseract: a text on
// its stdin it takes for a list of files to read.
func checkPicture(data []byte) error {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case err != nil || format != "png" && format != "jpeg":
		return parse.Errorf(parse.Corrupt, "the image of the page cannot be decoded")
	case float64(config.Width)*float64(config.Height) > maxPixels:
		return parse.Errorf(parse.TooLarge, "the image of the page has %d × %d pixels", config.Width, config.Height)
	}
	return nil
}

// turn turns an image by so many quarters, clockwise.
func turn(src *image.Gray, quarters int) *image.Gray {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	if quarters%2 == 1 {
		w, h = h, w
	}
	dst := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		row := dst.Pix[y*dst.Stride : y*dst.Stride+w]
		// The pixel of src that comes to the row's beginning, and the step to the next one's.
		var at, step int
		switch quarters {
		case 1:
			at, step = (w-1)*src.Stride+y, -src.Stride
		case 2:
			at, step = (h-1-y)*src.Stride+w-1, -1
		default:
			at, step = h-1-y, src.Stride
		}
		for x := range row {
			row[x] = src.Pix[at+x*step]
		}
	}
	return dst
}

// turnBack is a box on an image turned by so many quarters, on the image as it was.
func turnBack(b [4]float64, quarters int) [4]float64 {
	switch quarters {
	case 1:
		return [4]float64{b[1], 1 - b[2], b[3], 1 - b[0]}
	case 2:
		return [4]float64{1 - b[2], 1 - b[3], 1 - b[0], 1 - b[1]}
	case 3:
		return [4]float64{1 - b[3], b[0], 1 - b[1], b[2]}
	}
	return b
}

// decodeGray decodes a page. The two kinds that pages come in need no copy.
func decodeGray(data []byte) (*image.Gray, error) {
	src, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, parse.Errorf(parse.Corrupt, "the image of the page cannot be decoded")
	}
	bounds := src.Bounds()
	frame := image.Rect(0, 0, bounds.Dx(), bounds.Dy())
	switch src := src.(type) {
	case *image.Gray:
		return &image.Gray{Pix: src.Pix, Stride: src.Stride, Rect: frame}, nil
	case *image.YCbCr:
		return &image.Gray{Pix: src.Y, Stride: src.YStride, Rect: frame}, nil
	}
	gray := image.NewGray(frame)
	draw.Draw(gray, frame, src, bounds.Min, draw.Src)
	return gray, nil
}

// encodeGray makes a PNG for an engine of this machine, uncompressed: it is read once, and to make it smaller takes
// more time than to write it.
func encodeGray(img *image.Gray) ([]byte, error) {
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.NoCompression}
	if err := encoder.Encode(&out, img); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// hasInk reports whether something dark is on the page: one pixel in two thousand.
func hasInk(img *image.Gray) bool {
	dark, seen := 0, 0
	for y := 0; y < img.Rect.Dy(); y += 3 {
		for x := 0; x < img.Rect.Dx(); x += 3 {
			seen++
			if img.Pix[y*img.Stride+x] < 100 {
				dark++
			}
		}
	}
	return dark*2000 > seen
}
