package retrieval

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAt(t *testing.T) {
	whole := [4]float64{0.1, 0.1, 0.9, 0.5}
	line := func(n int) [4]float64 { return [4]float64{0.1, float64(n) / 10, 0.9, float64(n)/10 + 0.05} }
	page := Chunk{
		Text:     "La fianza.\nLa renta es de\n900 €. Y el IVA.\nFin.",
		Location: Location{Kind: "page", Page: 3, Boxes: [][4]float64{whole}},
		Lines:    Lines{{Start: 0, End: 10, Box: line(1)}, {Start: 11, End: 25, Box: line(2)}, {Start: 26, End: 45, Box: line(3)}, {Start: 46, End: 50, Box: line(4)}},
	}
	old, halfKnown, block := page, page, page
	old.Lines = nil
	halfKnown.Lines = page.Lines[:2]
	block.Lines = Lines{{Start: 0, End: 10, Box: line(1)}, {Start: 11, End: 25, Box: line(2)}, {Start: 26, End: 45, Box: line(2)}}
	talk := Chunk{
		Text:     "Hola. La renta es de 900. Adiós.",
		Location: Location{Kind: "time", StartS: 10, EndS: 40},
		Lines:    Lines{{Start: 0, End: 5, StartS: 10, EndS: 12}, {Start: 6, End: 18, StartS: 20, EndS: 26}, {Start: 19, End: 25, StartS: 24, EndS: 25}, {Start: 26, End: 33, StartS: 30, EndS: 40}},
	}
	text := Chunk{Text: "Año uno. Año dos. Fin.", Location: Location{Kind: "chars", Start: 100, End: 122, Heading: "Años"}}
	for name, c := range map[string]struct {
		chunk  Chunk
		pieces [][2]int
		want   Location
	}{
		"two lines of four":      {page, [][2]int{{11, 34}}, Location{Kind: "page", Page: 3, Boxes: [][4]float64{line(2), line(3)}}},
		"two pieces":             {page, [][2]int{{0, 10}, {46, 50}}, Location{Kind: "page", Page: 3, Boxes: [][4]float64{line(1), line(4)}}},
		"what touches no line":   {page, [][2]int{{10, 11}}, page.Location},
		"no piece":               {page, nil, page.Location},
		"of an older version":    {old, [][2]int{{0, 10}}, page.Location},
		"a line that is unknown": {halfKnown, [][2]int{{46, 50}}, page.Location},
		"one box for two lines":  {block, [][2]int{{11, 45}}, Location{Kind: "page", Page: 3, Boxes: [][4]float64{line(2)}}},
		"said over two breaths":  {talk, [][2]int{{6, 25}}, Location{Kind: "time", StartS: 20, EndS: 26}},
		"characters":             {text, [][2]int{{10, 19}}, Location{Kind: "chars", Start: 109, End: 117, Heading: "Años"}},
	} {
		if diff := cmp.Diff(c.want, c.chunk.At(c.pieces)); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
	if len(page.Lines) != 4 || page.Lines[0].Box != line(1) {
		t.Errorf("the chunk was changed: %+v", page.Lines)
	}
}

func TestLinesAreStoredWhole(t *testing.T) {
	want := Chunk{Lines: Lines{{Start: 0, End: 12, Box: [4]float64{0, 0.1234, 0.29, 1}}, {Start: 13, End: 20, StartS: 0, EndS: 0.001}, {Start: 21, End: 25, StartS: 7200.123, EndS: 7201.007}}}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Chunk
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got) %s", diff)
	}
	for _, broken := range []string{`[[1,2,3]]`, `[[]]`, `[1]`, `"a"`} {
		if err := json.Unmarshal([]byte(broken), &got.Lines); err == nil {
			t.Errorf("%s became %+v", broken, got.Lines)
		}
	}
}
