package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// requests are one that succeeds for every operation of the description.
func requests(t *testing.T) map[string]exchange {
	get := func(path string) exchange { return exchange{method: "GET", path: path} }
	return map[string]exchange{
		"GET /healthz":                             get("/healthz"),
		"GET /readyz":                              get("/readyz"),
		"GET /api/v1/documents":                    get("/api/v1/documents"),
		"POST /api/v1/documents":                   form(t, [3]string{"file", "a.txt", "x"}),
		"GET /api/v1/documents/{id}":               get("/api/v1/documents/b1"),
		"DELETE /api/v1/documents/{id}":            {method: "DELETE", path: "/api/v1/documents/c1"},
		"POST /api/v1/documents/{id}/restore":      {method: "POST", path: "/api/v1/documents/c1/restore", body: "{}"},
		"POST /api/v1/documents/{id}/retry":        {method: "POST", path: "/api/v1/documents/c1/retry"},
		"GET /api/v1/documents/{id}/chunks":        get("/api/v1/documents/c1/chunks"),
		"GET /api/v1/documents/{id}/content":       get("/api/v1/documents/c1/content"),
		"GET /api/v1/documents/{id}/pages/{n}.png": get("/api/v1/documents/c1/pages/1.png"),
		"GET /api/v1/collections":                  get("/api/v1/collections"),
		"GET /api/v1/events":                       get("/api/v1/events"),
		"GET /api/v1/chats":                        get("/api/v1/chats"),
		"GET /api/v1/chats/{id}":                   get("/api/v1/chats/abc"),
		"DELETE /api/v1/chats/{id}":                {method: "DELETE", path: "/api/v1/chats/abd"},
		"POST /api/v1/sync":                        {method: "POST", path: "/api/v1/sync", body: "{}"},
		"POST /api/v1/verify":                      {method: "POST", path: "/api/v1/verify", body: "{}"},
		"POST /api/v1/search":                      {method: "POST", path: "/api/v1/search", body: `{"query":"x"}`},
		"GET /api/v1/plan":                         get("/api/v1/plan"),
		"POST /api/v1/plan":                        {method: "POST", path: "/api/v1/plan", body: `{"gpu_total_bytes":6442450944,"os":"windows","llm":"qwen2.5:7b"}`},
		"GET /api/v1/hardware":                     get("/api/v1/hardware"),
		"GET /metrics":                             get("/metrics"),
		"POST /api/v1/query":                       {method: "POST", path: "/api/v1/query", body: `{"question":"x","chat_id":"abc"}`},
	}
}

// TestOpenAPI holds the description against the running server: every operation
// of it answers, with a status and a body that it describes, also when it refuses.
func TestOpenAPI(t *testing.T) {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	w := newWorld(t)
	w.chats["abc"], w.chats["abd"] = nil, nil
	close(w.changes)
	s := serve(t, New(w.config()))
	_, raw := (exchange{"GET", "/openapi.json", "", nil}).send(t, s)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("version %s", doc.OpenAPI)
	}
	known := requests(t)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			x, ok := known[method+" "+path]
			if !ok {
				t.Errorf("%s %s is described, and not tried here", method, path)
				continue
			}
			delete(known, method+" "+path)
			route := &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}
			validate(t, s.URL, route, x, s.Client())
			x.header = map[string]string{"Host": "evil.example"}
			validate(t, s.URL, route, x, s.Client())
		}
	}
	for missing := range known {
		t.Errorf("%s is not described", missing)
	}
}

// validate sends x and holds the answer against its description.
func validate(t *testing.T, base string, route *routers.Route, x exchange, client *http.Client) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), x.method, base+x.path, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	if x.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range x.header {
		req.Header.Set(name, value)
	}
	if host := x.header["Host"]; host != "" {
		req.Host = host
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if x.header["Host"] == "" && resp.StatusCode >= 300 {
		t.Errorf("%s %s: %d %s", x.method, x.path, resp.StatusCode, body)
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(context.WithoutCancel(t.Context()), in); err != nil {
		t.Errorf("%s %s: %d: %v", x.method, x.path, resp.StatusCode, err)
	}
}
