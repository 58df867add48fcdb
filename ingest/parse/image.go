package parse

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	_ "image/gif" // the formats that are decoded
	_ "image/jpeg"
	_ "image/png"
	"iter"
	"strings"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

const (
	// maxPicture bounds the pixels of an image file: its decoder takes up to 8 bytes a pixel.
	maxPicture = 64 << 20
	// maxPhoto bounds those of a plain JPEG, of which telephones take some of 108 and 200 megapixels: its
	// decoder takes 3 bytes a pixel at most, usually half of that.
	maxPhoto = 200 << 20
	// maxUnpacked is how many pixels a byte of an image that is larger may unpack to: no whole JPEG reaches that.
	maxUnpacked = 1000
)

// IsImage reports whether a file is an image.
func IsImage(f File) bool { return strings.HasPrefix(Detect(f.Data, f.Name), "image/") }

// A picture is a page of an image file.
type picture interface {
	config() (image.Config, error)
	decode() (image.Image, error)
}

// A single is an image file of one page. Of one that moves it is the first frame.
type single []byte

func (s single) config() (image.Config, error) {
	config, _, err := image.DecodeConfig(bytes.NewReader(s))
	return config, err
}

func (s single) decode() (image.Image, error) {
	img, _, err := image.Decode(bytes.NewReader(s))
	return img, err
}

// pictures are the pages of an image file.
func pictures(data []byte) []picture {
	pages := tiffPages(data)
	if pages == nil {
		return []picture{single(data)}
	}
	all := make([]picture, len(pages))
	for i, p := range pages {
		all[i] = p
	}
	return all
}

// parseImage is the [Parser] of images: each page is for OCR to read. Nothing
// is decoded but its size.
func parseImage(_ context.Context, f File, _ Progress) (Content, error) {
	var c Content
	var first error
	pages := pictures(f.Data)
	if len(pages) > maxTIFFPages {
		return Content{}, Errorf(TooLarge, "it has more than %d pages", maxTIFFPages)
	}
	for i, p := range pages {
		c.Pages++
		err := measure(p, f.Data)
		if err == nil {
			c.NeedsOCR = append(c.NeedsOCR, i+1)
			continue
		}
		c.PagesFailed = append(c.PagesFailed, i+1)
		if first == nil {
			first = err
		}
	}
	if len(c.NeedsOCR) == 0 {
		return Content{}, first
	}
	return c, nil
}

// measure refuses a page that is no image, or one that would unpack to more than fits. data is its file.
func measure(p picture, data []byte) error {
	size, err := p.config()
	most := maxPicture
	if isPhoto(data) {
		most = maxPhoto
	}
	switch {
	case err != nil || size.Width <= 0 || size.Height <= 0:
		return Errorf(Corrupt, "it is not an image that can be read, or a damaged one")
	case size.Width <= maxPicture/size.Height:
		return nil
	case size.Width > maxUnpacked*len(data)/size.Height:
		return Errorf(Bomb, "it is an image of %d by %d pixels in %d bytes", size.Width, size.Height, len(data))
	case size.Width > most/size.Height:
		return Errorf(TooLarge, "it is an image of more than %d megapixels; save it in a smaller size", most>>20)
	}
	return nil
}

// isPhoto reports whether a file is a plain JPEG, in grey or in three colours. A progressive one takes three times as
// much memory, as all of it is kept until its end.
func isPhoto(data []byte) bool {
	const baseline, extended, components = 0xC0, 0xC1, 5 // where their number stands
	for kind, segment := range jpegSegments(data) {
		if kind >= 0xC0 && kind <= 0xCF && kind != 0xC4 && kind != 0xC8 && kind != 0xCC { // a frame
			return (kind == baseline || kind == extended) && len(segment) > components && (segment[components] == 1 || segment[components] == 3)
		}
	}
	return false
}

// ImagePage draws page n, from 1, of an image file as a PNG, as large as a page of a PDF.
func ImagePage(data []byte, n int) ([]byte, error) {
	img, orientation, err := decodePage(data, n)
	if err != nil {
		return nil, err
	}
	size := img.Bounds().Size()
	by := min(1, pageSide/float64(max(size.X, size.Y, 1)))
	dst := image.NewRGBA(scaled(size, by))
	draw.Draw(dst, dst.Rect, image.White, image.Point{}, draw.Src)
	draw.ApproxBiLinear.Scale(dst, dst.Rect, img, img.Bounds(), draw.Over, nil)
	upright := image.NewRGBA(turned(dst.Rect, orientation))
	turn(orientation, dst.Rect.Size(), func(from, to image.Point) {
		copy(upright.Pix[upright.PixOffset(to.X, to.Y):][:4], dst.Pix[dst.PixOffset(from.X, from.Y):][:4])
	})
	return encodePage(upright, n)
}

// ImageScan draws page n, from 1, of an image file in grey for OCR, with the
// resolution that it has, within the limits of scans.
func ImageScan(data []byte, n int) ([]byte, error) {
	img, orientation, err := decodePage(data, n)
	if err != nil {
		return nil, err
	}
	grey := toGrey(img)
	upright := image.NewGray(turned(grey.Rect, orientation))
	turn(orientation, grey.Rect.Size(), func(from, to image.Point) {
		upright.Pix[to.Y*upright.Stride+to.X] = grey.Pix[from.Y*grey.Stride+from.X]
	})
	return encodePage(upright, n)
}

// decodePage decodes page n, and says how it is to be turned.
func decodePage(data []byte, n int) (img image.Image, orientation int, err error) {
	pages := pictures(data)
	if n < 1 || n > len(pages) {
		return nil, 0, noPage(n, len(pages))
	}
	page := pages[n-1]
	if err := measure(page, data); err != nil {
		return nil, 0, err
	}
	if img, err = page.decode(); err != nil || img.Bounds().Empty() {
		return nil, 0, Errorf(Corrupt, "page %d is damaged, or of a kind of image that is not read", n)
	}
	if t, ok := page.(tiffPage); ok {
		return img, t.orientation(), nil
	}
	return img, exifOrientation(data), nil
}

// toGrey returns an image in grey, on white where it is transparent, that begins at 0, 0.
func toGrey(img image.Image) *image.Gray {
	bounds := img.Bounds()
	by := min(1, scanScale(float64(bounds.Dx()), float64(bounds.Dy())))
	if y, ok := img.(*image.YCbCr); ok && by == 1 {
		return &image.Gray{Pix: y.Y[y.YOffset(bounds.Min.X, bounds.Min.Y):], Stride: y.YStride, Rect: scaled(bounds.Size(), 1)}
	}
	dst := image.NewGray(scaled(bounds.Size(), by))
	draw.Draw(dst, dst.Rect, image.White, image.Point{}, draw.Src)
	if by == 1 {
		draw.Draw(dst, dst.Rect, img, bounds.Min, draw.Over)
	} else {
		draw.ApproxBiLinear.Scale(dst, dst.Rect, img, bounds, draw.Over, nil)
	}
	return dst
}

func scaled(size image.Point, by float64) image.Rectangle {
	return image.Rect(0, 0, max(int(float64(size.X)*by), 1), max(int(float64(size.Y)*by), 1))
}

// turned is the frame of an image that was turned as its orientation says.
func turned(r image.Rectangle, orientation int) image.Rectangle {
	if orientation >= 5 && orientation <= 8 {
		return image.Rect(0, 0, r.Dy(), r.Dx())
	}
	return r
}

// turn tells of each pixel of an image of that size where it goes by the
// orientation of EXIF: 2 to 4 mirror and turn by 180°, 5 to 8 swap the axes.
func turn(orientation int, size image.Point, move func(from, to image.Point)) {
	right, bottom := size.X-1, size.Y-1
	for y := range size.Y {
		for x := range size.X {
			to := image.Pt(x, y)
			switch orientation {
			case 2:
				to = image.Pt(right-x, y)
			case 3:
				to = image.Pt(right-x, bottom-y)
			case 4:
				to = image.Pt(x, bottom-y)
			case 5:
				to = image.Pt(y, x)
			case 6:
				to = image.Pt(bottom-y, x)
			case 7:
				to = image.Pt(bottom-y, right-x)
			case 8:
				to = image.Pt(y, right-x)
			}
			move(image.Pt(x, y), to)
		}
	}
}

// exifOrientation is how an image is to be turned to be upright, 0 where it does not say.
func exifOrientation(data []byte) int {
	block := exif(data)
	if pages := tiffPages(bytes.TrimPrefix(block, []byte("Exif\x00\x00"))); len(pages) > 0 {
		return pages[0].orientation()
	}
	return 0
}

// exif returns the EXIF block of a JPEG, PNG or WebP file, or nil.
func exif(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte("\xFF\xD8")):
		return jpegEXIF(data)
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return chunk(data[8:], binary.BigEndian, 4, 0, "eXIf")
	case bytes.HasPrefix(data, []byte("RIFF")) && len(data) > 12:
		return chunk(data[12:], binary.LittleEndian, 0, 4, "EXIF")
	}
	return nil
}

func jpegEXIF(data []byte) []byte {
	const app1 = 0xE1
	for kind, segment := range jpegSegments(data) {
		if kind == app1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")) {
			return segment
		}
	}
	return nil
}

// jpegSegments are what stands in a JPEG file before its picture, by their markers; of another file there are none.
func jpegSegments(data []byte) iter.Seq2[byte, []byte] {
	const scan = 0xDA
	return func(yield func(byte, []byte) bool) {
		data, isJPEG := bytes.CutPrefix(data, []byte("\xFF\xD8"))
		for isJPEG && len(data) >= 4 && data[0] == 0xFF && data[1] != scan {
			size := int(binary.BigEndian.Uint16(data[2:]))
			if size < 2 || 2+size > len(data) || !yield(data[1], data[4:2+size]) {
				return
			}
			data = data[2+size:]
		}
	}
}

// chunk finds a chunk of a PNG or RIFF file by its name. name and size are
// where a chunk has these; PNG ends it with a checksum, RIFF at an even offset.
func chunk(data []byte, order binary.ByteOrder, name, size int, want string) []byte {
	for len(data) >= 8 {
		n := uint64(order.Uint32(data[size:]))
		if 8+n > uint64(len(data)) {
			return nil
		}
		if string(data[name:name+4]) == want {
			return data[8 : 8+n]
		}
		next := 8 + n + n%2
		if name == 4 {
			next = 8 + n + 4
		}
		data = data[min(next, uint64(len(data))):]
	}
	return nil
}
