package hwplan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Learned is what was measured on this machine; [Fit] prefers it to what was assumed.
type Learned struct {
	// Contexts are bytes that a CUDA process takes beside what its engine reports, by contextKey.
	Contexts map[string]int64 `json:"cuda_contexts,omitempty"`
	// Offload is how many layers are tried at most, as more did not load, by offloadKey.
	Offload map[string]Limit `json:"layer_limits,omitempty"`
	// EmbedderOnCPU are the embedders that did not fit beside the language model, by modelKey, and since when that is known.
	EmbedderOnCPU map[string]time.Time `json:"embedder_on_cpu_since,omitempty"`
	// Instead are the models that answer in the place of configured ones, which did not load, by modelKey.
	Instead map[string]StandIn `json:"instead,omitempty"`
	// Speeds are answer tokens per second, by speedKey.
	Speeds map[string]float64 `json:"tokens_per_s,omitempty"`
}

// A Limit is how many layers load, and since when that is known.
type Limit struct {
	Layers int       `json:"layers"`
	Since  time.Time `json:"since"`
}

// A StandIn is a model in the place of another, and since when.
type StandIn struct {
	Model string    `json:"model"`
	Since time.Time `json:"since"`
}

// contextKey names what the size of a CUDA context depends on.
func contextKey(g GPU, ollama string) string { return g.Driver + "|" + g.Name + "|" + ollama }

// modelKey names what it depends on whether a model loads. What did not may do so with a newer driver or Ollama.
func modelKey(g GPU, ollama, model string) string { return contextKey(g, ollama) + "|" + model }

// offloadKey names what the number of layers that load depends on.
func offloadKey(g GPU, ollama, model string, context, batch int) string {
	return fmt.Sprintf("%s|%d|%d", modelKey(g, ollama, model), context, batch)
}

// most is the largest number of layers that may be tried: what does not load at a context does not at a longer one.
func (l Learned) most(g GPU, ollama, model string, context, batch int) int {
	most := math.MaxInt
	for key, limit := range l.Offload {
		var c, b int
		rest, same := strings.CutPrefix(key, modelKey(g, ollama, model)+"|")
		if _, err := fmt.Sscanf(rest, "%d|%d", &c, &b); same && err == nil && c <= context && b == batch {
			most = min(most, limit.Layers)
		}
	}
	return most
}

// embedderOnCPU reports whether an embedder did not fit beside the language model.
func (l Learned) embedderOnCPU(g GPU, ollama, model string) bool {
	_, ok := l.EmbedderOnCPU[modelKey(g, ollama, model)]
	return ok
}

const (
	// patience is how long what did not load is believed not to load, and stale is when it is of an engine long replaced.
	patience = 7 * 24 * time.Hour
	stale    = 90 * 24 * time.Hour
)

// relax takes back the oldest of the steps that loads which failed have forced, if it has held for long: what held the
// memory then may be gone. If it fails again, one load is lost in that time. It forgets what is stale.
func (l *Learned) relax(now time.Time) {
	oldest, undo := now.Add(-patience), func() {}
	consider := func(since time.Time, step func()) {
		if now.Sub(since) > stale {
			step()
		} else if since.Before(oldest) {
			oldest, undo = since, step
		}
	}
	for key, limit := range l.Offload {
		consider(limit.Since, func() {
			if limit.Layers == 0 || now.Sub(limit.Since) > stale {
				delete(l.Offload, key)
				return
			}
			l.Offload[key] = Limit{Layers: limit.Layers + fewer, Since: now}
		})
	}
	for key, since := range l.EmbedderOnCPU {
		consider(since, func() { delete(l.EmbedderOnCPU, key) })
	}
	for key, s := range l.Instead {
		consider(s.Since, func() { delete(l.Instead, key) })
	}
	undo()
}

// speedKey names what the rate of an answer depends on, on one machine.
func speedKey(model string, offload int) string { return model + "|" + strconv.Itoa(offload) }

// Bounds of what is learned. The largest context seen is that of an H100: 694 MiB for nomic-embed-text, 610 for the 7B.
const (
	smallestContext = 100 * MiB
	largestContext  = 800 * MiB
	weightOfNew     = 0.3 // in the moving average
)

// learnContext notes what a load took of the card beyond what the engine says the model takes.
// Other programs come and go meanwhile, so it is smoothed and bounded: too much is safe, too little is not.
func (l *Learned) learnContext(key string, taken, reported int64) {
	context := min(taken-reported, largestContext)
	if context < smallestContext {
		return // another program has given memory back meanwhile
	}
	if old, ok := l.Contexts[key]; ok {
		context = old + int64(weightOfNew*float64(context-old))
	}
	set(&l.Contexts, key, context)
}

// learnSpeed notes the rate of an answer, which must be long enough to tell.
func (l *Learned) learnSpeed(key string, tokens int, took time.Duration) {
	const fewest = 16
	if tokens < fewest || took <= 0 {
		return
	}
	rate := float64(tokens) / took.Seconds()
	if old, ok := l.Speeds[key]; ok {
		rate = old + weightOfNew*(rate-old)
	}
	set(&l.Speeds, key, rate)
}

// clone is a copy that later learning does not change.
func (l Learned) clone() Learned {
	return Learned{Contexts: maps.Clone(l.Contexts), Offload: maps.Clone(l.Offload), EmbedderOnCPU: maps.Clone(l.EmbedderOnCPU),
		Instead: maps.Clone(l.Instead), Speeds: maps.Clone(l.Speeds)}
}

func set[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}

func (l Learned) encode() (io.Reader, error) {
	raw, err := json.MarshalIndent(l, "", "  ")
	return bytes.NewReader(raw), err
}

// loadLearned reads what was learned; nothing was, where there is no file.
func loadLearned(path string) (Learned, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return Learned{}, nil
	}
	if err != nil {
		return Learned{}, err
	}
	return decodeLearned(raw)
}

func decodeLearned(raw []byte) (l Learned, err error) {
	if err := json.Unmarshal(raw, &l); err != nil {
		return Learned{}, err
	}
	return l, nil
}
