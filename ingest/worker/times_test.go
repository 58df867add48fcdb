package worker

import (
	"testing"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// TestCheckTimes refuses recordings that cannot be.
func TestCheckTimes(t *testing.T) {
	block := func(start, end float64) parse.Content {
		return parse.Content{Text: "a", Blocks: []parse.Block{{End: 1, Kind: parse.Paragraph, StartS: start, EndS: end}}}
	}
	for name, c := range map[string]struct {
		content parse.Content
		ok      bool
	}{
		"text":               {block(0, 0), true},
		"speech":             {block(1, 2.5), true},
		"to be heard":        {parse.Content{MIME: "audio/mpeg", NeedsSpeech: true}, true},
		"unread":             {parse.Content{DurationS: 9, Unread: [][2]float64{{0, 3}}}, true},
		"before the start":   {block(-1, 2), false},
		"backwards":          {block(2, 1), false},
		"of negative length": {parse.Content{DurationS: -1}, false},
		"heard already":      {parse.Content{NeedsSpeech: true, Text: "a", Blocks: block(0, 0).Blocks}, false},
		"unread backwards":   {parse.Content{Unread: [][2]float64{{3, 1}}}, false},
	} {
		if err := checkContent(&c.content); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
