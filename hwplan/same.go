package hwplan

import (
	"slices"
	"strings"
)

// same finds a card again in another reading.
func same(gpus []GPU, card GPU) (GPU, bool) {
	i := slices.IndexFunc(gpus, func(g GPU) bool { return sameCard(g, card) })
	if i < 0 {
		return GPU{}, false
	}
	return gpus[i], true
}

// sameCard: a card keeps its UUID when another is plugged in; not every driver tells one.
func sameCard(a, b GPU) bool { return a.UUID == b.UUID && (a.UUID != "" || a.Index == b.Index) }

// sameModel compares names as Ollama does: without a tag it is the latest.
func sameModel(a, b string) bool { return tagged(a) == tagged(b) }

func tagged(name string) string {
	if !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":latest"
	}
	return strings.ToLower(name)
}
