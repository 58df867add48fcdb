package server

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

// TestQueryShape pins the object of CONTRACT.md, key by key.
func TestQueryShape(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	got := exchange{"POST", "/api/v1/query", `{"question":"¿Cuánto dura?","collection":null,"chat_id":null,"k":6,"stream":false}`, nil}.decode(t, s, 200)
	if id, _ := got["id"].(string); !strings.HasPrefix(id, "q_") {
		t.Errorf("id %v", got["id"])
	}
	delete(got, "id")
	var want map[string]any
	if err := json.Unmarshal([]byte(`{"mode":"generated","answer":"Tres años [1].","abstained":false,"language":"es","citations":[{"n":1,
		"document":{"id":"c1","title":"contrato.pdf","path":"legal/contrato.pdf","collection":"legal"},
		"location":{"kind":"chars","start":12,"end":27,"heading":""},"text":"La garantía dura tres años.","score":0.8,"confidence":0.9}],
		"warnings":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"context":8192,"truncated":false},
		"model":{"llm":"m","embedder":"e","reloaded":false},"timing_ms":{"retrieve":1,"first_token":2,"total":3}}`), &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSearchShape(t *testing.T) {
	w := newWorld(t)
	var asked retrieval.Query
	w.search = func(q retrieval.Query) (retrieval.Result, error) {
		asked = q
		return retrieval.Result{Hits: []retrieval.Hit{warranty}}, nil
	}
	s := serve(t, New(w.config()))
	got := exchange{"POST", "/api/v1/search", `{"query":"garantía"}`, nil}.decode(t, s, 200)
	if d := cmp.Diff(retrieval.Query{Text: "garantía", K: 10, Mode: retrieval.Hybrid}, asked); d != "" {
		t.Error("defaults:", d)
	}
	delete(got, "timing_ms")
	var want map[string]any
	if err := json.Unmarshal([]byte(`{"warnings":[],"hits":[{"chunk_id":"c1.0","document":{"id":"c1","title":"contrato.pdf","path":"legal/contrato.pdf","collection":"legal"},
		"location":{"kind":"chars","start":0,"end":27,"heading":""},"heading":[],"text":"La garantía dura tres años.","score":0.8,
		"scores":{"vector":null,"lexical":null},"confidence":0.9}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	w.search = func(retrieval.Query) (retrieval.Result, error) { return retrieval.Result{}, retrieval.ErrUnavailable }
	resp, _ := (exchange{"POST", "/api/v1/search", `{"query":"x","mode":"vector"}`, nil}).send(t, s)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("no embedder: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestLocations(t *testing.T) {
	for want, l := range map[string]retrieval.Location{
		`{"kind":"page","page":7,"boxes":[]}`:             {Kind: "page", Page: 7},
		`{"kind":"chars","start":0,"end":0,"heading":""}`: {Kind: "chars"},
		`{"kind":"time","start_s":0,"end_s":1.5}`:         {Kind: "time", EndS: 1.5},
		`{"kind":"cells","sheet":"H","range":"A1:B2"}`:    {Kind: "cells", Sheet: "H", Range: "A1:B2"},
		`{"kind":"slide","slide":3}`:                      {Kind: "slide", Slide: 3},
		`{"kind":"page","page":1,"boxes":[],"recognition":{"engine":"tesseract 5.3.0","confidence":0.93}}`: {
			Kind: "page", Page: 1, Recognition: retrieval.Recognition{Engine: "tesseract 5.3.0", Confidence: 0.93},
		},
	} {
		if got, err := json.Marshal(locationOf(l)); err != nil || string(got) != want {
			t.Errorf("%s %v, want %s", got, err, want)
		}
	}
}

// TestStreams looks at the order of events for answers of every kind.
func TestStreams(t *testing.T) {
	cut := errors.New("cut")
	for name, c := range map[string]struct {
		ask   iter.Seq2[answer.Event, error]
		names string
		last  string // in the data of the last event
	}{
		"whole":     {answered(whole), "sources token token citations done", `"answer":"Tres años [1]."`},
		"abstained": {answered2(answer.Event{Sources: []retrieval.Hit{}}, answer.Event{Done: &answer.Answer{Text: "No.", Abstained: true}}), "sources citations done", `"citations":[]`},
		"no answer": {failing(retrieval.ErrUnavailable), "error", `"code":"engine_unavailable"`},
		"cut":       {failing(&answer.PartialError{Answer: whole, Err: cut}), "error", `"answer":"Tres años [1]."`},
		"fault":     {failing(errors.New("secret")), "error", `"code":"internal"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ask = func(context.Context, answer.Question) iter.Seq2[answer.Event, error] { return c.ask }
			s := serve(t, New(w.config()))
			for _, x := range []exchange{
				{"POST", "/api/v1/query", `{"question":"x","stream":true}`, nil},
				{"POST", "/api/v1/query", `{"question":"x"}`, map[string]string{"Accept": "text/event-stream"}},
			} {
				resp, raw := x.send(t, s)
				if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") || resp.Header.Get("X-Request-Id") == "" {
					t.Fatalf("%d %v", resp.StatusCode, resp.Header)
				}
				var names []string
				var last string
				for e := range events(strings.NewReader(raw)) {
					names, last = append(names, e.name), e.data
				}
				if got := strings.Join(names, " "); got != c.names || !strings.Contains(last, c.last) {
					t.Errorf("%s, want %s: %s", got, c.names, last)
				}
			}
		})
	}
}

func answered2(events ...answer.Event) iter.Seq2[answer.Event, error] {
	return func(yield func(answer.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func failing(err error) iter.Seq2[answer.Event, error] {
	return func(yield func(answer.Event, error) bool) { yield(answer.Event{}, err) }
}

// endless writes until its context ends, and says when that was.
func endless(ctx context.Context, ended chan<- struct{}) iter.Seq2[answer.Event, error] {
	return func(yield func(answer.Event, error) bool) {
		defer func() { ended <- struct{}{} }()
		if !yield(answer.Event{Sources: []retrieval.Hit{warranty}}, nil) {
			return
		}
		<-ctx.Done()
		yield(answer.Event{}, ctx.Err())
	}
}

// TestLeaving closes the connection in the middle of an answer, streamed and not.
func TestLeaving(t *testing.T) {
	for _, body := range []string{`{"question":"x","stream":true}`, `{"question":"x"}`} {
		w := newWorld(t)
		began, ended := make(chan struct{}, 1), make(chan struct{}, 1)
		w.ask = func(ctx context.Context, _ answer.Question) iter.Seq2[answer.Event, error] {
			events := endless(ctx, ended)
			return func(yield func(answer.Event, error) bool) {
				began <- struct{}{}
				events(yield)
			}
		}
		s := serve(t, New(w.config()))
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/api/v1/query", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-began
			leave()
		}()
		if resp, err := s.Client().Do(req); err == nil {
			<-ctx.Done() // who leaves before the answer has begun is never answered
			resp.Body.Close()
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the answer went on for ten seconds after the client left", body)
		}
	}
}

// TestLongAnswer lets an answer take longer than a body may: the deadline must be lifted.
func TestLongAnswer(t *testing.T) {
	w := newWorld(t)
	w.ask = func(ctx context.Context, _ answer.Question) iter.Seq2[answer.Event, error] {
		select {
		case <-ctx.Done():
			return failing(ctx.Err())
		case <-time.After(150 * time.Millisecond):
			return answered(whole)
		}
	}
	srv := newServer(w.config())
	srv.bodyWait = 30 * time.Millisecond
	exchange{"POST", "/api/v1/query", `{"question":"x"}`, nil}.decode(t, serve(t, srv.handler()), 200)
}

// TestAdmission fills the only seat and the only place in the queue.
func TestAdmission(t *testing.T) {
	w := newWorld(t)
	began, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	w.ask = func(ctx context.Context, _ answer.Question) iter.Seq2[answer.Event, error] {
		began <- struct{}{}
		return endless(ctx, ended)
	}
	cfg := w.config()
	cfg.Asks, cfg.Queue = 1, 1
	srv := newServer(cfg)
	srv.beat = 10 * time.Millisecond
	s := serve(t, srv.handler())
	open := func() (*http.Response, context.CancelFunc) {
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/api/v1/query", strings.NewReader(`{"question":"x","stream":true}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp, leave
	}
	first, leaveFirst := open()
	defer first.Body.Close()
	<-began
	second, leaveSecond := open()
	defer second.Body.Close()
	beat := make([]byte, 9)
	if _, err := second.Body.Read(beat); err != nil || beat[0] != ':' {
		t.Fatalf("a question that waits hears %q %v", beat, err)
	}
	resp, _ := (exchange{"POST", "/api/v1/query", `{"question":"x"}`, nil}).send(t, s)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a third question: %d %v", resp.StatusCode, resp.Header)
	}
	leaveFirst()
	<-ended
	<-began // the second has its turn
	leaveSecond()
	<-ended
}

func TestConversation(t *testing.T) {
	w := newWorld(t)
	var history []answer.Message
	w.ask = func(_ context.Context, q answer.Question) iter.Seq2[answer.Event, error] {
		history = q.History
		return answered(whole)
	}
	s := serve(t, New(w.config()))
	for _, body := range []string{`{"question":"uno","chat_id":"abc"}`, `{"question":"dos","chat_id":"abc","stream":true}`} {
		if resp, raw := (exchange{"POST", "/api/v1/query", body, nil}).send(t, s); resp.StatusCode != 200 {
			t.Fatal(raw)
		}
	}
	if d := cmp.Diff([]answer.Message{{Role: "user", Content: "uno"}, {Role: "assistant", Content: whole.Text}}, history); d != "" {
		t.Error("history of the second question:", d)
	}
	if got := (exchange{"GET", "/api/v1/chats/abc", "", nil}).decode(t, s, 200); len(got["messages"].([]any)) != 4 {
		t.Errorf("saved: %v", got)
	}
	if got := (exchange{"GET", "/api/v1/chats", "", nil}).decode(t, s, 200); len(got["chats"].([]any)) != 1 {
		t.Errorf("list: %v", got)
	}
	if resp, _ := (exchange{"DELETE", "/api/v1/chats/abc", "", nil}).send(t, s); resp.StatusCode != 204 {
		t.Errorf("forget: %d", resp.StatusCode)
	}
	if resp, _ := (exchange{"GET", "/api/v1/chats/abc", "", nil}).send(t, s); resp.StatusCode != 404 {
		t.Errorf("forgotten: %d", resp.StatusCode)
	}
}
