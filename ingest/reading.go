package ingest

import (
	"maps"
	"slices"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A Reading is what one engine read of a document's scanned pages, or heard of a recording.
type Reading struct {
	Engine     string        `json:"engine"`     // with its version and model
	Confidence float64       `json:"confidence"` // 0–1, the mean by length of text
	Pages      []PageReading `json:"pages,omitempty"`
}

// A PageReading is how sure an engine is of a page. Of one on which it found no text it is 0.
type PageReading struct {
	Page       int     `json:"page"` // from 1
	Confidence float64 `json:"confidence"`
}

// readingsOfPages says who read the pages, in the order of their first ones.
func readingsOfPages(pages map[int]parse.ScannedPage) []Reading {
	var readings []Reading
	var means []mean
	for _, n := range slices.Sorted(maps.Keys(pages)) {
		page := pages[n]
		i := slices.IndexFunc(readings, func(r Reading) bool { return r.Engine == page.Engine })
		if i < 0 {
			i = len(readings)
			readings, means = append(readings, Reading{Engine: page.Engine}), append(means, mean{})
		}
		for _, l := range page.Lines {
			means[i].add(l.Text, l.Confidence)
		}
		readings[i].Confidence = means[i].value()
		readings[i].Pages = append(readings[i].Pages, PageReading{n, page.Confidence})
	}
	return readings
}

// readingOfRecording says who heard a recording; nil where nothing was heard.
func readingOfRecording(t parse.Transcript) []Reading {
	if len(t.Segments) == 0 {
		return nil
	}
	var m mean
	for _, s := range t.Segments {
		m.add(s.Text, s.Confidence)
	}
	return []Reading{{Engine: t.Engine, Confidence: m.value()}}
}

// A mean is one of confidences, weighted by the length of their texts.
type mean struct {
	sum  float64
	size int
}

func (m *mean) add(text string, confidence float64) {
	m.sum, m.size = m.sum+confidence*float64(len(text)), m.size+len(text)
}

func (m *mean) value() float64 { return m.sum / float64(max(1, m.size)) }
