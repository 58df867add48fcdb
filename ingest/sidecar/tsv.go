package sidecar

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// Levels of a row of Tesseract's TSV.
const (
	levelPage = "1"
	levelWord = "5"
)

// A word is a row of level 5. It belongs to the line that at names: page, block, paragraph, line.
type word struct {
	text       string
	confidence float64 // 0–1
	box        [4]float64
	at         [4]string
}

// parseTSV reads what Tesseract's tsv output says of one image. Boxes become parts of
// the image's size; lines come in Tesseract's reading order.
func parseTSV(tsv string) (parse.ScannedPage, error) {
	var page parse.ScannedPage
	var words []word
	var width, height float64
	for row := range strings.Lines(tsv) {
		fields := strings.SplitN(strings.TrimRight(row, "\r\n"), "\t", 12)
		switch {
		case len(fields) < 11 || fields[0] == "level":
		case fields[0] == levelPage:
			size, err := numbers(fields[8:10])
			if err != nil {
				return page, err
			}
			width, height = size[0], size[1]
		case fields[0] == levelWord && len(fields) == 12:
			w, err := parseWord(fields)
			if err != nil {
				return page, err
			}
			if w.text != "" { // what it takes for a picture is a word without text
				words = append(words, w)
			}
		}
	}
	if len(words) > 0 && (width <= 0 || height <= 0) {
		return page, fmt.Errorf("tesseract's TSV has no size of the page")
	}
	page.Lines = lines(words, width, height)
	page.Confidence = confidence(page.Lines)
	return page, nil
}

func parseWord(fields []string) (word, error) {
	n, err := numbers(fields[6:11])
	if err != nil {
		return word{}, err
	}
	left, top, wide, high := n[0], n[1], n[2], n[3]
	return word{
		text:       strings.ToValidUTF8(strings.TrimSpace(fields[11]), "\uFFFD"),
		confidence: within(n[4] / 100),
		box:        [4]float64{left, top, left + wide, top + high},
		at:         [4]string(fields[1:5]),
	}, nil
}

func numbers(fields []string) ([]float64, error) {
	out := make([]float64, len(fields))
	for i, field := range fields {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("tesseract's TSV has %q for a number", field)
		}
		out[i] = n
	}
	return out, nil
}

// lines joins words to lines, and numbers their paragraphs.
func lines(words []word, width, height float64) []parse.ScannedLine {
	var out []parse.ScannedLine
	paragraph := 0
	for first := 0; first < len(words); {
		last := first + 1
		for last < len(words) && words[last].at == words[first].at {
			last++
		}
		if first == 0 || [3]string(words[first].at[:3]) != [3]string(words[first-1].at[:3]) {
			paragraph++
		}
		line := join(words[first:last])
		line.Box = part(line.Box, width, height)
		line.Paragraph = paragraph
		out = append(out, line)
		first = last
	}
	return out
}

// join makes a line of its words. A long word counts for more than a short one.
func join(words []word) parse.ScannedLine {
	line := parse.ScannedLine{Box: words[0].box}
	texts := make([]string, len(words))
	var sum, weight float64
	for i, w := range words {
		texts[i] = w.text
		n := float64(len([]rune(w.text)))
		sum, weight = sum+n*w.confidence, weight+n
		line.Box = union(line.Box, w.box)
	}
	line.Text, line.Confidence = strings.Join(texts, " "), sum/weight
	return line
}

// confidence is the mean of the lines' by their length.
func confidence(lines []parse.ScannedLine) float64 {
	var sum, weight float64
	for _, line := range lines {
		n := float64(len([]rune(line.Text)))
		sum, weight = sum+n*line.Confidence, weight+n
	}
	if weight == 0 {
		return 0
	}
	return sum / weight
}

func union(a, b [4]float64) [4]float64 {
	return [4]float64{min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])}
}

// part is a box in pixels as parts of the image's size.
func part(box [4]float64, width, height float64) [4]float64 {
	return [4]float64{
		within(box[0] / width), within(box[1] / height),
		within(max(box[0], box[2]) / width), within(max(box[1], box[3]) / height),
	}
}

func within(x float64) float64 { return max(0, min(1, x)) }
