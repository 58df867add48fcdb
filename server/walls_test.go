package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestProblems sends what must be refused, and looks at the shape of each refusal.
func TestProblems(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	json1 := func(h string, v string) map[string]string { return map[string]string{h: v} }
	const ask = `{"question":"x"}`
	for _, c := range []struct {
		exchange
		status int
		code   string
	}{
		{exchange{"GET", "/api/v1/documents/nosuch", "", nil}, 404, "not_found"},
		{exchange{"DELETE", "/api/v1/documents/nosuch", "", nil}, 404, "not_found"},
		{exchange{"GET", "/api/v1/documents/..%2f..%2fetc%2fpasswd/content", "", nil}, 404, "no_such_route"},
		{exchange{"GET", "/api/v1/nosuch", "", map[string]string{"Accept": "text/html"}}, 404, "no_such_route"},
		{exchange{"GET", "/nosuch.js", "", map[string]string{"Accept": "text/html"}}, 404, "no_such_route"},
		{exchange{"PUT", "/api/v1/query", "{}", nil}, 405, "method_not_allowed"},
		{exchange{"POST", "/", "{}", nil}, 405, "method_not_allowed"},
		{exchange{"GET", "/api/v1/documents?limit=-1", "", nil}, 422, "invalid"},
		{exchange{"GET", "/api/v1/documents?limit=501", "", nil}, 422, "invalid"},
		{exchange{"GET", "/api/v1/documents?status=odd", "", nil}, 422, "invalid"},
		{exchange{"GET", "/api/v1/documents/c1/chunks?cursor=-1", "", nil}, 422, "invalid"},
		{exchange{"GET", "/api/v1/documents/c1/pages/3.png", "", nil}, 404, "not_found"},
		{exchange{"GET", "/api/v1/documents/c1/pages/0.png", "", nil}, 404, "no_such_page"},
		{exchange{"GET", "/api/v1/documents/c1/pages/1", "", nil}, 404, "no_such_page"},
		{exchange{"POST", "/api/v1/query", "{", nil}, 400, "bad_request"},
		{exchange{"POST", "/api/v1/query", "", nil}, 400, "bad_request"},
		{exchange{"POST", "/api/v1/query", `[]`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":""}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":" \n "}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":"` + strings.Repeat("ñ", 4001) + `"}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":"x","k":-3}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":"x","k":0}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":"x","k":51}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":"x","chat_id":"../x"}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/query", `{"question":"x","nosuch":1}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/search", `{"query":"x","mode":"magic"}`, nil}, 422, "invalid"},
		{exchange{"POST", "/api/v1/search", `{"query":"` + strings.Repeat("x", 3_000_000) + `"}`, nil}, 413, "too_large"},
		{exchange{"POST", "/api/v1/query", ask, json1("Content-Type", "text/plain")}, 415, "unsupported_media_type"},
		{exchange{"POST", "/api/v1/query", ask, json1("Content-Type", "application/x-www-form-urlencoded")}, 415, "unsupported_media_type"},
		{exchange{"POST", "/api/v1/documents", ask, nil}, 415, "unsupported_media_type"},
		{exchange{"POST", "/api/v1/query", ask, json1("Origin", "https://evil.example")}, 403, "cross_origin"},
		{exchange{"POST", "/api/v1/query", ask, json1("Origin", "null")}, 403, "cross_origin"},
		{exchange{"POST", "/api/v1/query", ask, json1("Sec-Fetch-Site", "cross-site")}, 403, "cross_origin"},
		{exchange{"POST", "/api/v1/documents/c1/retry", "", json1("Sec-Fetch-Site", "cross-site")}, 403, "cross_origin"},
		{exchange{"DELETE", "/api/v1/documents/c1", "", json1("Origin", "https://evil.example")}, 403, "cross_origin"},
		{exchange{"POST", "/api/v1/query", ask, map[string]string{"Origin": "null", "Content-Type": "text/plain"}}, 403, "cross_origin"},
		{exchange{"GET", "/api/v1/documents/panic", "", nil}, 500, "internal"},
		{exchange{"GET", "/api/v1/documents/fault", "", nil}, 500, "internal"},
		{exchange{"GET", "/api/v1/chats/nosuch", "", nil}, 404, "not_found"},
	} {
		name := fmt.Sprintf("%s %s %.40s %v", c.method, c.path, c.body, c.header)
		resp, raw := c.send(t, s)
		var p problem
		if err := json.Unmarshal([]byte(raw), &p); err != nil {
			t.Errorf("%s: %d %q: %v", name, resp.StatusCode, raw, err)
			continue
		}
		if resp.StatusCode != c.status || p.Status != c.status || p.Code != c.code {
			t.Errorf("%s: %d, %d %s, want %d %s", name, resp.StatusCode, p.Status, p.Code, c.status, c.code)
		}
		if resp.Header.Get("Content-Type") != problemType || p.Type == "" || p.Title == "" || p.Detail == "" || !regexp.MustCompile(`^[a-z][a-z0-9_.-]*$`).MatchString(p.Code) {
			t.Errorf("%s: %s %+v", name, resp.Header.Get("Content-Type"), p)
		}
		if resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("Content-Security-Policy") == "" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", name, resp.Header)
		}
		if strings.Contains(raw, "secret") || strings.Contains(raw, "goroutine") {
			t.Errorf("%s tells: %s", name, raw)
		}
	}
}

func TestHosts(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	for host, status := range map[string]int{
		"LOCALHOST:1": 200, "127.0.0.1:9": 200, "127.0.0.1": 200, "[::1]:9": 200, "[::1]": 200, "[::ffff:127.0.0.1]": 200, "biblioteca.lan:7801": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.nip.io": 421, "0.0.0.0:1": 421,
		"localhost.": 421, "2130706433": 421, "x.biblioteca.lan": 421, "192.168.1.1": 421, "[fe80::1]": 421,
	} {
		for _, path := range []string{"/api/v1/documents", "/healthz", "/", "/openapi.json", "/nosuch"} {
			want := status
			if path == "/nosuch" && status == 200 {
				want = 404
			}
			if resp, _ := (exchange{"GET", path, "", map[string]string{"Host": host}}).send(t, s); resp.StatusCode != want {
				t.Errorf("%s for %s: %d, want %d", path, host, resp.StatusCode, want)
			}
		}
	}
}

// TestOwnPage sends what the user interface itself sends.
func TestOwnPage(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	own := map[string]string{"Origin": s.URL, "Sec-Fetch-Site": "same-origin"}
	if resp, raw := (exchange{"POST", "/api/v1/query", `{"question":"x"}`, own}).send(t, s); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
}

// TestSlowBody opens a request and never ends its body.
func TestSlowBody(t *testing.T) {
	srv := newServer(newWorld(t).config())
	srv.bodyWait = 50 * time.Millisecond
	s := serve(t, srv.handler())
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestUserInterface(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	navigates := map[string]string{"Accept": "text/html,*/*"}
	for _, c := range []struct {
		exchange
		status    int
		kind, age string
	}{
		{exchange{"GET", "/", "", nil}, 200, "text/html; charset=utf-8", "no-cache"},
		{exchange{"HEAD", "/", "", nil}, 200, "text/html; charset=utf-8", "no-cache"},
		{exchange{"GET", "/documents/c1", "", navigates}, 200, "text/html; charset=utf-8", "no-cache"},
		{exchange{"GET", "/assets/app-1.js", "", nil}, 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{exchange{"GET", "/../index.html", "", nil}, 200, "text/html; charset=utf-8", "no-cache"},
		{exchange{"GET", "/documents/c1", "", nil}, 404, problemType, "no-store"},
		{exchange{"GET", "/v1/nosuch", "", navigates}, 404, problemType, "no-store"},
	} {
		resp, _ := c.send(t, s)
		if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.kind || resp.Header.Get("Cache-Control") != c.age {
			t.Errorf("%s %s: %d %v", c.method, c.path, resp.StatusCode, resp.Header)
		}
	}
	resp, _ := (exchange{"GET", "/", "", nil}).send(t, s)
	again, _ := (exchange{"GET", "/", "", map[string]string{"If-None-Match": resp.Header.Get("ETag")}}).send(t, s)
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("the same page again: %d", again.StatusCode)
	}
}
