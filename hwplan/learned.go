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
	// Contexts are bytes that a CUDA process takes beside what its engine reports, by [ContextKey].
	Contexts map[string]int64 `json:"cuda_contexts,omitempty"`
	// Offload is the largest number of layers that loaded, where more did not, by [OffloadKey].
	Offload map[string]int `json:"offload,omitempty"`
	// EmbedderOnCPU are the embedders that did not fit beside the language model, by [EmbedderKey].
	EmbedderOnCPU map[string]bool `json:"embedder_on_cpu,omitempty"`
	// Speeds are answer tokens per second, by [SpeedKey].
	Speeds map[string]float64 `json:"tokens_per_s,omitempty"`
}

// ContextKey names what the size of a CUDA context depends on.
func ContextKey(g GPU, ollama string) string { return g.Driver + "|" + g.Name + "|" + ollama }

// OffloadKey names what the number of layers that load depends on.
func OffloadKey(g GPU, model string, context, batch int) string {
	return fmt.Sprintf("%s%d|%d", offloadPrefix(g, model), context, batch)
}

func offloadPrefix(g GPU, model string) string { return g.Driver + "|" + g.Name + "|" + model + "|" }

// most is the largest number of layers that may be tried: what does not load at a context does not at a longer one.
func (l Learned) most(g GPU, model string, context, batch int) int {
	most := math.MaxInt
	for key, layers := range l.Offload {
		var c, b int
		rest, same := strings.CutPrefix(key, offloadPrefix(g, model))
		if _, err := fmt.Sscanf(rest, "%d|%d", &c, &b); same && err == nil && c <= context && b == batch {
			most = min(most, layers)
		}
	}
	return most
}

// EmbedderKey names what it depends on whether an embedder fits.
func EmbedderKey(g GPU, model string) string { return g.Driver + "|" + g.Name + "|" + model }

// SpeedKey names what the rate of an answer depends on, on one machine.
func SpeedKey(model string, offload int) string { return model + "|" + strconv.Itoa(offload) }

// Bounds of what is learned.
const (
	smallestContext = 100 * MiB
	largestContext  = 600 * MiB
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
	return Learned{Contexts: maps.Clone(l.Contexts), Offload: maps.Clone(l.Offload), EmbedderOnCPU: maps.Clone(l.EmbedderOnCPU), Speeds: maps.Clone(l.Speeds)}
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
