package sidecar

import (
	"image"
	"math"

	"github.com/acervo-kb/acervo/ingest/parse"
)

const (
	maxSkew = 15.0 // degrees that are looked for, either way
	// leastSkew is below what every engine reads a line without help; the pixels stay as they are then.
	leastSkew = 0.5
	// fewFeet is how many points say nothing: less than a line of text has.
	fewFeet = 200
	// clearSkew is by how much the lines must stand out more at an angle than the page does on average.
	clearSkew = 1.5
	// skewSide is the longer side that a page is reduced to before it is looked at: 85 dpi of an A4.
	skewSide = 1000
)

// skewOf returns by how many degrees the lines of a page fall to the right, -15 to 15: 0 where they are level, or
// where nothing tells. Lines that stand, on a page that lies on its side, count as well.
//
// It is the method of projection profiles (Postl 1986): the ends of letters on a line's foot, counted along
// parallels, come together in the fewest of these when they run as the lines do.
func skewOf(img *image.Gray) float64 {
	ink := inkOf(reduce(img))
	best, most := 0.0, clearSkew
	for _, feet := range [][]point{ink.feet(false), ink.feet(true)} {
		if angle, clarity := sharpest(feet); clarity > most {
			best, most = angle, clarity
		}
	}
	if math.Abs(best) < leastSkew {
		return 0
	}
	return best
}

// A point is a place along a line, and across the lines.
type point struct{ along, across float64 }

// sharpest returns the angle at which points fall into the fewest lines, and how much better than at any angle. Few
// points say nothing.
func sharpest(points []point) (angle, clarity float64) {
	const coarse, fine = 0.5, 0.05
	if len(points) < fewFeet {
		return 0, 0
	}
	p := newProfile(points)
	best, sum, n := 0.0, 0.0, 0.0
	for a := -maxSkew; a <= maxSkew; a += coarse {
		score := p.score(a)
		if sum, n = sum+score, n+1; score > best {
			angle, best = a, score
		}
	}
	for a, end := angle-coarse, angle+coarse; a <= end; a += fine {
		if score := p.score(a); score > best {
			angle, best = a, score
		}
	}
	return angle, best / (sum / n)
}

// A profile counts points along parallels.
type profile struct {
	points []point
	margin float64 // so that no index is negative
	counts []float64
}

func newProfile(points []point) *profile {
	var along, across float64
	for _, p := range points {
		along, across = max(along, p.along), max(across, p.across)
	}
	margin := math.Ceil(along*math.Tan(maxSkew*2*math.Pi/180)) + 1
	return &profile{points: points, margin: margin, counts: make([]float64, int(across+2*margin)+2)}
}

// score is the larger the fewer parallels at that angle hold the points.
func (p *profile) score(degrees float64) float64 {
	clear(p.counts)
	slope := math.Tan(degrees * math.Pi / 180)
	for _, q := range p.points {
		p.counts[int(q.across-slope*q.along+p.margin+0.5)]++
	}
	sum := 0.0
	for _, n := range p.counts {
		sum += n * n
	}
	return sum
}

// A bitmap says where ink is.
type bitmap struct {
	width, height int
	ink           []bool
}

// feet are the lower ends of what is written in rows, or, standing, the right ends of what is written in columns.
func (b bitmap) feet(standing bool) []point {
	var feet []point
	for y := range b.height - 1 {
		for x := range b.width - 1 {
			at := y*b.width + x
			switch {
			case !b.ink[at]:
			case !standing && !b.ink[at+b.width]:
				feet = append(feet, point{float64(x), float64(y)})
			case standing && !b.ink[at+1]:
				// A page on its side falls the other way.
				feet = append(feet, point{float64(y), float64(b.width - 1 - x)})
			}
		}
	}
	return feet
}

// reduce makes a page small: each pixel is the mean of a square.
func reduce(img *image.Gray) *image.Gray {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	by := max(1, (max(w, h)+skewSide-1)/skewSide)
	if by == 1 {
		return img
	}
	small := image.NewGray(image.Rect(0, 0, w/by, h/by))
	sums := make([]int, w/by)
	for y := range h / by {
		clear(sums)
		for dy := range by {
			row := img.Pix[(y*by+dy)*img.Stride:]
			for x := range sums {
				for _, v := range row[x*by : x*by+by] {
					sums[x] += int(v)
				}
			}
		}
		for x, sum := range sums {
			small.Pix[y*small.Stride+x] = uint8(sum / (by * by))
		}
	}
	return small
}

// inkOf tells ink from paper by what is around it (Bradley and Roth 2007), as a photo is darker at one end.
func inkOf(img *image.Gray) bitmap {
	const around, darker = 15, 0.85
	w, h := img.Rect.Dx(), img.Rect.Dy()
	sums := make([]int, (w+1)*(h+1)) // of all pixels above and left
	for y := range h {
		row := 0
		for x := range w {
			row += int(img.Pix[y*img.Stride+x])
			sums[(y+1)*(w+1)+x+1] = sums[y*(w+1)+x+1] + row
		}
	}
	b := bitmap{width: w, height: h, ink: make([]bool, w*h)}
	for y := range h {
		top, bottom := max(0, y-around), min(h, y+around+1)
		for x := range w {
			left, right := max(0, x-around), min(w, x+around+1)
			sum := sums[bottom*(w+1)+right] - sums[top*(w+1)+right] - sums[bottom*(w+1)+left] + sums[top*(w+1)+left]
			mean := float64(sum) / float64((bottom-top)*(right-left))
			b.ink[y*w+x] = float64(img.Pix[y*img.Stride+x]) < darker*mean
		}
	}
	return b
}

// A turning maps a page that was turned to be straight.
type turning struct {
	sin, cos      float64
	width, height float64 // of the page as it was
	wide, high    float64 // of the page that is straight
}

func newTurning(size image.Point, degrees float64) turning {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	w, h := float64(size.X), float64(size.Y)
	return turning{
		sin: sin, cos: cos, width: w, height: h,
		wide: math.Ceil(w*cos + h*math.Abs(sin)), high: math.Ceil(w*math.Abs(sin) + h*cos),
	}
}

// from returns where on the page as it was a point of the straight one is.
func (t turning) from(x, y float64) (float64, float64) {
	x, y = x-t.wide/2, y-t.high/2
	return t.width/2 + x*t.cos - y*t.sin, t.height/2 + x*t.sin + y*t.cos
}

// straighten turns a page so that no corner is lost; what was not on it is white.
func (t turning) straighten(img *image.Gray) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, int(t.wide), int(t.high)))
	for y := range out.Rect.Dy() {
		row := out.Pix[y*out.Stride : y*out.Stride+out.Rect.Dx()]
		x0, y0 := t.from(0.5, float64(y)+0.5)
		for x := range row {
			row[x] = sample(img, x0+float64(x)*t.cos-0.5, y0+float64(x)*t.sin-0.5)
		}
	}
	return out
}

// sample is the grey between four pixels.
func sample(img *image.Gray, x, y float64) uint8 {
	left, top := int(math.Floor(x)), int(math.Floor(y))
	if left < 0 || top < 0 || left+1 >= img.Rect.Dx() || top+1 >= img.Rect.Dy() {
		return 255
	}
	dx, dy := int((x-float64(left))*256), int((y-float64(top))*256)
	at := img.Pix[top*img.Stride+left:]
	upper := int(at[0])*(256-dx) + int(at[1])*dx
	lower := int(at[img.Stride])*(256-dx) + int(at[img.Stride+1])*dx
	return uint8((upper*(256-dy) + lower*dy + 1<<15) >> 16)
}

// box returns the upright box on the page as it was around a box on the straight one; both are parts of their page.
func (t turning) box(b [4]float64) [4]float64 {
	out := [4]float64{1, 1, 0, 0}
	for _, corner := range [][2]float64{{b[0], b[1]}, {b[2], b[1]}, {b[0], b[3]}, {b[2], b[3]}} {
		x, y := t.from(corner[0]*t.wide, corner[1]*t.high)
		x, y = within(x/t.width), within(y/t.height)
		out = [4]float64{min(out[0], x), min(out[1], y), max(out[2], x), max(out[3], y)}
	}
	return out
}

// straightened returns the image of a page with its lines level, and what puts the boxes of a page so read where they are
// on the image as it was given. One that needs nothing is returned as it is.
func straightened(data []byte) ([]byte, func(parse.ScannedPage) parse.ScannedPage, error) {
	same := func(page parse.ScannedPage) parse.ScannedPage { return page }
	img, err := decodeGray(data)
	if err != nil {
		return nil, nil, err
	}
	degrees := skewOf(img)
	if degrees == 0 {
		return data, same, nil
	}
	t := newTurning(img.Rect.Size(), degrees)
	if data, err = encodeGray(t.straighten(img)); err != nil {
		return nil, nil, err
	}
	return data, func(page parse.ScannedPage) parse.ScannedPage {
		for i := range page.Lines {
			page.Lines[i].Box = t.box(page.Lines[i].Box)
		}
		return page
	}, nil
}
