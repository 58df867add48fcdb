package sidecar

import (
	"bytes"
	"image"
	"image/png"
	"math"

	"golang.org/x/image/draw"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// Surya is given pages smaller than they come, which is at 300 dpi: at 192 on a GPU, as in its own code, and at 112 on a CPU,
// where the image costs most of the time. More pixels, as of a photo, would not leave the context room for the answer.
const (
	givenDPI  = 300.0
	gpuDPI    = 192.0
	gpuPixels = 3.6e6 // a page of A4 at 192 dpi
	cpuDPI    = 112.0
	cpuPixels = 1.25e6
)

// A pagePicture is a page's image, to be made smaller for a device. It is one call's.
type pagePicture struct {
	image image.Image
	made  map[bool][]byte // for a GPU or not
}

func decodePage(data []byte) (*pagePicture, error) {
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, parse.Errorf(parse.Corrupt, "the image of the page cannot be decoded")
	}
	return &pagePicture{image: img, made: map[bool][]byte{}}, nil
}

// png is the page as Surya reads it on that device.
func (p *pagePicture) png(onGPU bool) ([]byte, error) {
	if made := p.made[onGPU]; made != nil {
		return made, nil
	}
	dpi, pixels := cpuDPI, cpuPixels
	if onGPU {
		dpi, pixels = gpuDPI, gpuPixels
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&out, smaller(p.image, dpi/givenDPI, pixels)); err != nil {
		return nil, err
	}
	p.made[onGPU] = out.Bytes()
	return out.Bytes(), nil
}

// smaller scales an image of a page by a factor below 1, and further where it would have more than so many pixels.
func smaller(src image.Image, by, pixels float64) image.Image {
	w, h := float64(src.Bounds().Dx()), float64(src.Bounds().Dy())
	by = min(by, math.Sqrt(pixels/(w*h)))
	dst := image.NewRGBA(image.Rect(0, 0, max(1, int(w*by)), max(1, int(h*by))))
	draw.CatmullRom.Scale(dst, dst.Rect, src, src.Bounds(), draw.Src, nil)
	return dst
}

func (p *pagePicture) hasInk() bool {
	gray := image.NewGray(image.Rect(0, 0, p.image.Bounds().Dx(), p.image.Bounds().Dy()))
	draw.Draw(gray, gray.Rect, p.image, p.image.Bounds().Min, draw.Src)
	return hasInk(gray)
}
