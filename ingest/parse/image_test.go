package parse

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// corner is an image of w by h pixels, white but for its dark top left quarter.
func corner(w, h int) image.Image {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			if img.Pix[y*img.Stride+x] = 255; x < w/2 && y < h/2 {
				img.Pix[y*img.Stride+x] = 20
			}
		}
	}
	return img
}

func encoded(t *testing.T, format string, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&out, img)
	case "jpeg":
		err = jpeg.Encode(&out, img, nil)
	case "gif":
		err = gif.Encode(&out, img, nil)
	case "bmp":
		err = bmp.Encode(&out, img)
	case "tiff":
		err = tiff.Encode(&out, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// tiffOf joins images to a TIFF file of several pages: bits, then a directory, for each.
func tiffOf(order binary.AppendByteOrder, orientation uint16, images ...image.Image) []byte {
	out := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		out = []byte("MM\x00*")
	}
	link := len(out)
	out = order.AppendUint32(out, 0)
	for _, img := range images {
		g := img.(*image.Gray)
		strip := len(out)
		out = append(out, g.Pix...)
		set := order.AppendUint32(nil, uint32(len(out)))
		copy(out[link:], set)
		tags := [][3]uint32{
			{256, 4, uint32(g.Rect.Dx())}, {257, 4, uint32(g.Rect.Dy())}, {258, 3, 8}, {259, 3, 1}, {262, 3, 1},
			{273, 4, uint32(strip)}, {274, 3, uint32(orientation)}, {278, 4, uint32(g.Rect.Dy())}, {279, 4, uint32(len(g.Pix))},
		}
		out = order.AppendUint16(out, uint16(len(tags)))
		for _, tag := range tags {
			out = order.AppendUint16(out, uint16(tag[0]))
			out = order.AppendUint16(out, uint16(tag[1]))
			out = order.AppendUint32(out, 1)
			if tag[1] == 3 {
				out = order.AppendUint16(out, uint16(tag[2]))
				out = order.AppendUint16(out, 0)
			} else {
				out = order.AppendUint32(out, tag[2])
			}
		}
		link = len(out)
		out = order.AppendUint32(out, 0)
	}
	return out
}

// darkQuarter says where the dark quarter of a PNG is: "top left" and so on.
func darkQuarter(t *testing.T, raw []byte) (string, image.Point) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	size := img.Bounds().Size()
	for name, at := range map[string]image.Point{
		"top left": {size.X / 4, size.Y / 4}, "top right": {size.X * 3 / 4, size.Y / 4},
		"bottom left": {size.X / 4, size.Y * 3 / 4}, "bottom right": {size.X * 3 / 4, size.Y * 3 / 4},
	} {
		if color.GrayModel.Convert(img.At(at.X, at.Y)).(color.Gray).Y < 128 {
			return name, size
		}
	}
	return "", size
}

func TestImages(t *testing.T) {
	for _, format := range []string{"png", "jpeg", "gif", "bmp", "tiff"} {
		data := encoded(t, format, corner(60, 40))
		c, err := parseFile(t, "a."+format, string(data))
		if err != nil || c.Pages != 1 || !slices.Equal(c.NeedsOCR, []int{1}) || c.MIME != "image/"+format || !IsImage(File{Name: "a", Data: data}) {
			t.Errorf("%s: %+v, %v", format, c, err)
		}
		for name, draw := range map[string]func([]byte, int) ([]byte, error){"page": ImagePage, "scan": ImageScan} {
			raw, err := draw(data, 1)
			if err != nil {
				t.Errorf("%s of a %s: %v", name, format, err)
				continue
			}
			if where, size := darkQuarter(t, raw); where != "top left" || size != image.Pt(60, 40) {
				t.Errorf("%s of a %s: dark %s, %v", name, format, where, size)
			}
			_, err = draw(data, 2)
			wantError(t, err, Unsupported)
		}
	}
}

// TestOrientation turns an image upright, whatever format says which way it lies.
func TestOrientation(t *testing.T) {
	where := []string{"", "top left", "top right", "bottom right", "bottom left", "top left", "top right", "bottom right", "bottom left"}
	plainJPEG, plainPNG := encoded(t, "jpeg", corner(60, 40)), encoded(t, "png", corner(60, 40))
	for o := uint16(1); o <= 8; o++ {
		exif := tiffOf(binary.BigEndian, o, corner(1, 1))
		body := append([]byte("Exif\x00\x00"), exif...)
		app1 := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(body)+2))
		chunk := append(binary.BigEndian.AppendUint32(nil, uint32(len(exif))), "eXIf"...)
		chunk = append(append(chunk, exif...), 0, 0, 0, 0)
		const header = 8 + 25 // signature and IHDR
		for name, data := range map[string][]byte{
			"jpeg": slices.Concat(plainJPEG[:2], app1, body, plainJPEG[2:]),
			"png":  slices.Concat(plainPNG[:header], fixChecksum(chunk), plainPNG[header:]),
			"tiff": tiffOf(binary.LittleEndian, o, corner(60, 40)),
		} {
			want := image.Pt(60, 40)
			if o >= 5 {
				want = image.Pt(40, 60)
			}
			for kind, draw := range map[string]func([]byte, int) ([]byte, error){"page": ImagePage, "scan": ImageScan} {
				raw, err := draw(data, 1)
				if err != nil {
					t.Fatalf("%s of a %s turned %d: %v", kind, name, o, err)
				}
				if got, size := darkQuarter(t, raw); got != where[o] || size != want {
					t.Errorf("%s of a %s turned %d: dark %s of %v, want %s of %v", kind, name, o, got, size, where[o], want)
				}
			}
		}
	}
}

func TestTIFFPages(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		data := tiffOf(order, 1, corner(60, 40), corner(10, 20), corner(30, 30))
		c, err := parseFile(t, "a.tif", string(data))
		if err != nil || c.Pages != 3 || !slices.Equal(c.NeedsOCR, []int{1, 2, 3}) {
			t.Fatalf("%v: %+v, %v", order, c, err)
		}
		for n, want := range []image.Point{{60, 40}, {10, 20}, {30, 30}} {
			raw, err := ImageScan(data, n+1)
			if err != nil {
				t.Fatal(err)
			}
			if _, size := darkQuarter(t, raw); size != want {
				t.Errorf("%v: page %d has %v, want %v", order, n+1, size, want)
			}
		}
	}
}

// TestHostileImages refuses what unpacks to too much, and what lies.
func TestHostileImages(t *testing.T) {
	good := tiffOf(binary.LittleEndian, 1, corner(8, 8))
	loop := slices.Clone(good)
	copy(loop[len(loop)-4:], loop[4:8]) // the next directory is the first
	far := slices.Clone(good)
	copy(far[4:], "\xff\xff\xff\xff")
	bomb := encoded(t, "png", corner(8, 8))
	binary.BigEndian.PutUint32(bomb[16:], 60_000)
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	bomb = slices.Concat(bomb[:8], fixChecksum(bomb[8:33]), bomb[33:])
	photo := func(width, height int, frame byte, size int) []byte {
		data := encoded(t, "jpeg", corner(80, 80))
		at := bytes.Index(data, []byte("\xFF\xC0"))
		data[at+1] = frame
		binary.BigEndian.PutUint16(data[at+5:], uint16(height))
		binary.BigEndian.PutUint16(data[at+7:], uint16(width))
		return append(data, make([]byte, size)...)
	}
	const progressive = 0xC2
	for name, test := range map[string]struct {
		data  []byte
		code  Code
		pages int
	}{
		"a photo of 200 megapixels":           {photo(16320, 12240, 0xC0, 1<<20), "", 1},
		"a photo of 400 megapixels":           {photo(23200, 17400, 0xC0, 1<<20), TooLarge, 0},
		"a progressive one of 108 megapixels": {photo(12000, 9000, progressive, 1<<20), TooLarge, 0},
		"a progressive one of 50 megapixels":  {photo(8160, 6120, progressive, 1<<20), "", 1},
		"a JPEG that is a bomb":               {photo(16320, 12240, 0xC0, 0), Bomb, 0},
		"a chain that loops":                  {loop, "", 1},
		"a chain that leads nowhere":          {far, Corrupt, 0},
		"bomb":                                {bomb, Bomb, 0},
		"cut TIFF":                            {good[:20], Corrupt, 0},
		"cut JPEG":                            {encoded(t, "jpeg", corner(80, 80))[:400], "", 1},
		"only JFIF":                           {[]byte("\xFF\xD8\xFF\xE0\x00\x10JFIF\x00" + strings.Repeat("\x00x\x01", 100)), Corrupt, 0},
	} {
		c, err := NewRegistry(noPDF).Parse(t.Context(), File{Name: "a.jpg", Data: test.data}, nil)
		if codeOf(t, err) != test.code || c.Pages != test.pages {
			t.Errorf("%s: %d pages, %v", name, c.Pages, err)
		}
		if err == nil && name == "cut JPEG" {
			_, err = ImageScan(test.data, 1)
			wantError(t, err, Corrupt)
		}
		if test.code == Bomb {
			_, err = ImagePage(test.data, 1)
			wantError(t, err, Bomb)
		}
	}
}

func FuzzImage(f *testing.F) {
	f.Add(tiffOf(binary.LittleEndian, 6, corner(8, 8), corner(4, 4)))
	f.Add([]byte("\xFF\xD8\xFF\xE1\x00\x10Exif\x00\x00MM\x00*\x00\x00\x00\x08"))
	f.Add([]byte("RIFF\x20\x00\x00\x00WEBPEXIF\x08\x00\x00\x00II*\x00\x08\x00\x00\x00"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		for n := range min(len(pictures(data)), 3) {
			_, _ = ImageScan(data, n+1)
		}
		exifOrientation(data)
	})
}

// fixChecksum sets the checksum that a PNG chunk ends with.
func fixChecksum(chunk []byte) []byte {
	body := slices.Clone(chunk[:len(chunk)-4])
	return binary.BigEndian.AppendUint32(body, crc32.ChecksumIEEE(body[4:]))
}
