package sidecar

import (
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// written is a page of lines of words, as one sees it from afar.
func written(width, height int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	random := rand.New(rand.NewPCG(1, 2))
	for y := height / 8; y < height*7/8; y += 48 {
		for x := width / 8; x < width*7/8; {
			letters := 1 + random.IntN(9)
			for range letters {
				fill(img, image.Rect(x, y+10*random.IntN(2), x+12, y+28), 30)
				x += 17
			}
			x += 14
		}
	}
	return img
}

func fill(img *image.Gray, r image.Rectangle, v uint8) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			img.Pix[y*img.Stride+x] = v
		}
	}
}

// shaded darkens a page to its right, as a photo without a flash is.
func shaded(img *image.Gray) *image.Gray {
	for i := range img.Pix {
		img.Pix[i] = uint8(float64(img.Pix[i]) * (1 - 0.7*float64(i%img.Stride)/float64(img.Stride)))
	}
	return img
}

func TestSkewOf(t *testing.T) {
	t.Parallel()
	straight := written(2480, 3508)
	angles := []float64{0, 0.3, -2, 0.6, 1, 2, 5, 10, 14, -0.3, -1, -5, -10, -14}
	if testing.Short() {
		angles = angles[:3]
	}
	for _, degrees := range angles {
		page := newTurning(straight.Rect.Size(), -degrees).straighten(straight)
		want := degrees
		if math.Abs(degrees) < leastSkew {
			want = 0
		}
		for name, img := range map[string]*image.Gray{
			"upright": page, "on its left": turn(page, 3), "on its right": turn(page, 1), "on its head": turn(page, 2),
			"in shade": shaded(turn(turn(page, 1), 3)),
		} {
			if got := skewOf(img); math.Abs(got-want) > 0.1 {
				t.Errorf("%s, %g° askew: %.2f°", name, degrees, got)
			}
		}
	}
}

func TestNothingTellsTheSkew(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	noise := image.NewGray(image.Rect(0, 0, 1200, 900))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(random.IntN(256))
	}
	disc := image.NewGray(image.Rect(0, 0, 900, 900))
	for i := range disc.Pix {
		disc.Pix[i] = 255
		if math.Hypot(float64(i%900-450), float64(i/900-450)) < 300 {
			disc.Pix[i] = 0
		}
	}
	specks := image.NewGray(image.Rect(0, 0, 1000, 1000))
	for i := range specks.Pix {
		specks.Pix[i] = 255
	}
	fill(specks, image.Rect(100, 100, 110, 110), 0)
	fill(specks, image.Rect(800, 200, 810, 210), 0)
	for name, img := range map[string]*image.Gray{
		"noise": noise, "a disc": disc, "two specks": specks,
		"a pixel": image.NewGray(image.Rect(0, 0, 1, 1)), "black": image.NewGray(image.Rect(0, 0, 300, 200)),
	} {
		if got := skewOf(img); got != 0 {
			t.Errorf("%s is %.2f° askew", name, got)
		}
	}
}

// What stands on a straightened page at a place has its box around that place on the page as it was.
func TestBoxesOfStraightenedPages(t *testing.T) {
	for _, degrees := range []float64{3, -7, 12} {
		page := image.NewGray(image.Rect(0, 0, 1000, 1400))
		for i := range page.Pix {
			page.Pix[i] = 255
		}
		mark := image.Rect(700, 300, 720, 320)
		fill(page, mark, 0)
		turned := newTurning(page.Rect.Size(), degrees)
		straight := turned.straighten(page)
		if straight.Rect.Dx() != int(turned.wide) || straight.Rect.Dy() != int(turned.high) {
			t.Fatalf("its size is %v", straight.Rect.Size())
		}
		box, there := image.Rectangle{}, false
		for y := range straight.Rect.Dy() {
			for x := range straight.Rect.Dx() {
				if straight.Pix[y*straight.Stride+x] < 128 {
					box, there = box.Union(image.Rect(x, y, x+1, y+1)), true
				}
			}
		}
		if !there {
			t.Fatal("the mark is lost")
		}
		b := turned.box(part([4]float64{float64(box.Min.X), float64(box.Min.Y), float64(box.Max.X), float64(box.Max.Y)}, turned.wide, turned.high))
		got := image.Rect(int(math.Round(b[0]*1000)), int(math.Round(b[1]*1400)), int(math.Round(b[2]*1000)), int(math.Round(b[3]*1400)))
		if !mark.In(got.Inset(-1)) || got.Dx() > 40 || got.Dy() > 40 {
			t.Errorf("%g°: the mark at %v has the box %v", degrees, mark, got)
		}
	}
}

func TestStraightened(t *testing.T) {
	straight, err := encodeGray(written(1240, 1754))
	if err != nil {
		t.Fatal(err)
	}
	if same, _, err := straightened(straight); err != nil || !slices.Equal(same, straight) {
		t.Errorf("a straight page is made anew, %v", err)
	}
	askew, err := encodeGray(newTurning(image.Pt(1240, 1754), 4).straighten(written(1240, 1754)))
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := straightened(askew)
	if err != nil {
		t.Fatal(err)
	}
	img, err := decodeGray(data)
	if err != nil || skewOf(img) != 0 {
		t.Errorf("a page that was made level is %.2f° askew, %v", skewOf(img), err)
	}
}
