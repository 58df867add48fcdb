package main

import (
	"testing"

	"github.com/acervo-kb/acervo/retrieval"
)

func TestPlace(t *testing.T) {
	engine := retrieval.Recognition{Engine: "tesseract 5.3.0", Confidence: 0.934}
	for want, l := range map[string]retrieval.Location{
		"page 3": {Kind: "page", Page: 3},
		"page 3 (read by tesseract 5.3.0, confidence 0.93)":         {Kind: "page", Page: 3, Recognition: engine},
		"08:30–1:00:05 (heard by tesseract 5.3.0, confidence 0.93)": {Kind: "time", StartS: 510, EndS: 3605, Recognition: engine},
		"Hoja A1:B2":     {Kind: "cells", Sheet: "Hoja", Range: "A1:B2"},
		"slide 2":        {Kind: "slide", Slide: 2},
		"Plazos":         {Kind: "chars", Heading: "Plazos"},
		"characters 1–9": {Kind: "chars", Start: 1, End: 9},
	} {
		if got := place(l); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
