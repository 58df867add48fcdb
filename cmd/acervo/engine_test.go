package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fakeEngine is a scripted OpenAI-compatible server: the edge of the process.
// Embeddings are hashed bags of words, so texts that share words are near.
type fakeEngine struct {
	url  string
	dims int

	mu       sync.Mutex
	embedded int         // texts
	chats    []time.Time // when each chat request had arrived
}

func newFakeEngine(t testing.TB, dims int) *fakeEngine {
	t.Helper()
	e := &fakeEngine{dims: dims}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/embeddings", e.embed)
	mux.HandleFunc("POST /v1/chat/completions", e.chat)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	e.url = s.URL
	return e
}

func (e *fakeEngine) settings() []string {
	return []string{
		"llm.provider=openai", "llm.url=" + e.url, "llm.model=fake-chat",
		"embedder.provider=openai", "embedder.url=" + e.url, "embedder.model=fake-embed",
	}
}

func (e *fakeEngine) embed(w http.ResponseWriter, r *http.Request) {
	var in struct{ Input []string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	e.embedded += len(in.Input)
	e.mu.Unlock()
	type row struct {
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	rows := make([]row, len(in.Input))
	for i, text := range in.Input {
		rows[i] = row{i, e.vector(text)}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": rows}) // a client that left is no failure
}

func (e *fakeEngine) vector(text string) []float32 {
	v := make([]float32, e.dims)
	v[0] = 0.01
	for _, word := range strings.Fields(strings.ToLower(text)) {
		h := fnv.New64a()
		h.Write([]byte(word))
		v[h.Sum64()%uint64(e.dims)]++
	}
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

func (e *fakeEngine) chat(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	e.chats = append(e.chats, time.Now())
	e.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	for _, word := range []string{"Según ", "el documento [", "1], así ", "es."} {
		raw, _ := json.Marshal(map[string]any{"choices": []any{map[string]any{"delta": map[string]string{"content": word}}}})
		fmt.Fprintf(w, "data: %s\n\n", raw)
	}
	fmt.Fprint(w, `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`+"\n\n"+`data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":8}}`+"\n\ndata: [DONE]\n\n")
}

func (e *fakeEngine) lastChat() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.chats[len(e.chats)-1]
}
