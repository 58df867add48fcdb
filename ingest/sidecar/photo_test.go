package sidecar

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// notice is a photo as an iPhone takes it: of a notice, 1800 by 1300 pixels.
func notice(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(sharedFile(t, "files/foto-aviso.heic"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// lacksDecoder skips the test where the Python of the test bed has no decoder of HEIC.
func lacksDecoder(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrMissing) && strings.Contains(err.Error(), "pi-heif") {
		t.Skipf("ACERVO_TEST_PYTHON: %v", err)
	}
}

const fakePhoto = "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"

func TestPhotos(t *testing.T) {
	for _, tt := range []struct {
		behaviour, photo string
		want             parse.Code // "": it is decoded
	}{
		{"good", fakePhoto, ""},
		{"good", "GIF89a is none of these", parse.Corrupt},
		{"abort once", fakePhoto, ""},
		{"abort", fakePhoto, parse.Crashed},
		{"large", fakePhoto, parse.TooLarge},
		{"no picture", fakePhoto, parse.Crashed},
		{"nothing", fakePhoto, parse.Crashed},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			p := newPhotos(Config{Scratch: t.TempDir()}, fakeCommand("photo", tt.behaviour, t.TempDir()))
			p.worker.cfg.limits = quick
			t.Cleanup(p.Close)
			picture, err := p.Decode(t.Context(), []byte(tt.photo))
			if tt.want == "" && (err != nil || string(picture) != "\xFF\xD8\xFF a fake JPEG") {
				t.Errorf("%q, %v", picture, err)
			}
			var fault *parse.Error
			if tt.want != "" && (!errors.As(err, &fault) || fault.Code != tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestPhotosMissing(t *testing.T) {
	p := NewPhotos(Config{Cache: t.TempDir()})
	t.Cleanup(p.Close)
	if _, err := p.Decode(t.Context(), []byte(fakePhoto)); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "acervo setup ocr") {
		t.Errorf("error %v", err)
	}
}

// realPhotos decodes with pi-heif.
func realPhotos(t *testing.T) (p *Photos, photo []byte) {
	t.Helper()
	p = NewPhotos(Config{Python: testPython(t), Cache: t.TempDir(), Scratch: t.TempDir()})
	t.Cleanup(p.Close)
	photo, err := os.ReadFile(notice(t))
	if err != nil {
		t.Fatal(err)
	}
	return p, photo
}

func decoded(t *testing.T, p *Photos, photo []byte) image.Image {
	t.Helper()
	start := time.Now()
	picture, err := p.Decode(t.Context(), photo)
	if err != nil {
		lacksDecoder(t, err)
		t.Fatal(err)
	}
	t.Logf("%d bytes of %d in %s", len(picture), len(photo), time.Since(start))
	img, err := jpeg.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// patched is a photo of which some bytes are others.
func patched(t *testing.T, photo []byte, changes ...string) []byte {
	t.Helper()
	for i := 0; i < len(changes); i += 2 {
		if bytes.Count(photo, []byte(changes[i])) != 1 || len(changes[i]) != len(changes[i+1]) {
			t.Fatalf("the photo is not the one it was: %q", changes[i])
		}
		photo = bytes.Replace(photo, []byte(changes[i]), []byte(changes[i+1]), 1)
	}
	return photo
}

// A photo that says it was taken with the telephone on its side comes upright.
func TestPhotoTurned(t *testing.T) {
	p, photo := realPhotos(t)
	straight := decoded(t, p, photo)
	// In the place of its colours: that it is to be turned by a quarter, against the clock, and a box of nothing.
	turned := decoded(t, p, patched(t, photo,
		"\x00\x00\x00\x13colrnclx\x00\x01\x00\x0d\x00\x06\x80", "\x00\x00\x00\x09irot\x01\x00\x00\x00\x0afree\x00\x00",
		"\x01\x04\x81\x02\x03\x04", "\x01\x04\x81\x82\x04\x05"))
	size := straight.Bounds().Size()
	if size != image.Pt(1800, 1300) || turned.Bounds().Size() != image.Pt(size.Y, size.X) {
		t.Fatalf("%v, turned %v", size, turned.Bounds())
	}
	var apart float64
	for y := 50; y < size.Y; y += 100 {
		for x := 50; x < size.X; x += 100 {
			apart = max(apart, math.Abs(luma(straight, x, y)-luma(turned, y, size.X-1-x)))
		}
	}
	if apart > 40 { // the colours are another's by some
		t.Errorf("turned back they are %g apart", apart)
	}
}

func luma(img image.Image, x, y int) float64 {
	r, g, b, _ := img.At(x, y).RGBA()
	return (0.3*float64(r) + 0.6*float64(g) + 0.1*float64(b)) / 257
}

// What is no photo, or a broken or a monstrous one, is told of, and the next photo is decoded all the same.
func TestPhotosBroken(t *testing.T) {
	p, photo := realPhotos(t)
	decoded(t, p, photo)
	size := "\x14ispe\x00\x00\x00\x00\x00\x00\x07\x08\x00\x00\x05\x14"
	for name, tt := range map[string]struct {
		photo []byte
		want  []parse.Code
	}{
		"noise":     {append([]byte(fakePhoto), bytes.Repeat([]byte{1, 0, 99, 250}, 1000)...), []parse.Code{parse.Corrupt}},
		"a head":    {[]byte(fakePhoto), []parse.Code{parse.Corrupt}},
		"half":      {photo[:len(photo)/2], []parse.Code{parse.Corrupt}},
		"no pixels": {photo[:400], []parse.Code{parse.Corrupt}},
		"large":     {patched(t, photo, size, "\x14ispe\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x40\x00"), []parse.Code{parse.TooLarge, parse.Corrupt}},
		"monstrous": {patched(t, photo, size, "\x14ispe\x00\x00\x00\x00\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF"), []parse.Code{parse.TooLarge, parse.Corrupt}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.Decode(t.Context(), tt.photo)
			var fault *parse.Error
			if !errors.As(err, &fault) || fault.Code != tt.want[0] && fault.Code != tt.want[len(tt.want)-1] {
				t.Errorf("error %v, want one of %v", err, tt.want)
			}
			t.Log(err)
		})
	}
	decoded(t, p, photo)
}
