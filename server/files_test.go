package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/retrieval"
)

func TestContent(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	const path = "/api/v1/documents/c1/content"
	resp, body := (exchange{"GET", path, "", nil}).send(t, s)
	for name, want := range map[string]string{
		"Content-Type": "application/pdf", "Content-Security-Policy": sandbox, "Etag": `"abc"`, "X-Content-Type-Options": "nosniff",
		"Content-Disposition": `inline; filename="contrato _.pdf"; filename*=UTF-8''contrato%20%C3%B1.pdf`,
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if resp.StatusCode != 200 || body != "0123456789" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, body := (exchange{"GET", path, "", map[string]string{"Range": "bytes=2-4"}}).send(t, s); resp.StatusCode != 206 || body != "234" {
		t.Errorf("range: %d %q", resp.StatusCode, body)
	}
	if resp, _ := (exchange{"GET", path, "", map[string]string{"Range": "bytes=20-"}}).send(t, s); resp.StatusCode != 416 {
		t.Errorf("range beyond the end: %d", resp.StatusCode)
	}
	if resp, _ := (exchange{"GET", path, "", map[string]string{"If-None-Match": `"abc"`}}).send(t, s); resp.StatusCode != 304 {
		t.Errorf("the same again: %d", resp.StatusCode)
	}
	if resp, body := (exchange{"HEAD", path, "", nil}).send(t, s); resp.StatusCode != 200 || body != "" || resp.ContentLength != 10 {
		t.Errorf("HEAD: %d %q %d", resp.StatusCode, body, resp.ContentLength)
	}
	if resp, _ := (exchange{"GET", "/api/v1/documents/f1/content", "", map[string]string{"If-None-Match": `""`}}).send(t, s); resp.StatusCode != 200 || resp.Header.Get("Etag") != "" {
		t.Errorf("of a content that is not known: %d %v", resp.StatusCode, resp.Header)
	}
	resp, _ = (exchange{"GET", "/api/v1/documents/b1/content", "", nil}).send(t, s)
	if resp.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("HTML of a stranger is served as %v", resp.Header)
	}
}

// TestRecordingContent: a player needs the type, and to seek.
func TestRecordingContent(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	resp, body := (exchange{"GET", "/api/v1/documents/t1/content", "", map[string]string{"Range": "bytes=4-"}}).send(t, s)
	for name, want := range map[string]string{"Content-Type": "audio/x-m4a", "Accept-Ranges": "bytes", "Content-Range": "bytes 4-9/10", "Content-Length": "6"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if resp.StatusCode != 206 || body != "456789" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if got := (exchange{"GET", "/api/v1/documents/t1", "", nil}).decode(t, s, 200); got["duration_s"] != 42.5 {
		t.Errorf("%v", got)
	}
}

func TestPage(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	resp, body := (exchange{"GET", "/api/v1/documents/c1/pages/2.png", "", nil}).send(t, s)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/png" || !strings.HasPrefix(body, "\x89PNG") {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	again, _ := (exchange{"GET", "/api/v1/documents/c1/pages/2.png", "", map[string]string{"If-None-Match": resp.Header.Get("ETag")}}).send(t, s)
	if again.StatusCode != 304 {
		t.Errorf("the same again: %d", again.StatusCode)
	}
}

func TestLists(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	first := exchange{"GET", "/api/v1/documents?limit=1", "", nil}.decode(t, s, 200)
	if first["next"] != "c1" || len(first["documents"].([]any)) != 1 {
		t.Errorf("%v", first)
	}
	if last := (exchange{"GET", "/api/v1/documents?cursor=c1", "", nil}).decode(t, s, 200); last["next"] != nil {
		t.Errorf("%v", last)
	}
	if d := (exchange{"POST", "/api/v1/documents/c1/retry?anew=true", "", nil}).decode(t, s, 202); d["status"] != "queued" {
		t.Errorf("a document that is to be read anew is %v", d["status"])
	}
	first = exchange{"GET", "/api/v1/documents/c1/chunks?limit=2", "", nil}.decode(t, s, 200)
	if first["next"] != "2" || len(first["chunks"].([]any)) != 2 {
		t.Errorf("%v", first)
	}
	if last := (exchange{"GET", "/api/v1/documents/c1/chunks?limit=2&cursor=2", "", nil}).decode(t, s, 200); last["next"] != nil || len(last["chunks"].([]any)) != 1 {
		t.Errorf("%v", last)
	}
	if none := (exchange{"GET", "/api/v1/documents/b1/chunks", "", nil}).decode(t, s, 200); none["chunks"] == nil {
		t.Errorf("not indexed yet: %v", none)
	}
}

// TestLanguage asks for the reason of a failure in several languages.
func TestLanguage(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	for accept, want := range map[string]string{"es": "es", "es-MX,es;q=0.9,en;q=0.8": "es", "en-GB": "en", "fr": "en", "": "en", ";;;": "en"} {
		got := exchange{"GET", "/api/v1/documents/b1", "", map[string]string{"Accept-Language": accept}}.decode(t, s, 200)
		if message := got["error"].(map[string]any)["message"]; message != broken.Error.In(want) {
			t.Errorf("%q: %v, want %q", accept, message, broken.Error.In(want))
		}
	}
}

// form is a multipart body of fields, written name, file name (or "-"), content.
func form(t *testing.T, fields ...[3]string) exchange {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		disposition := `form-data; name="` + f[0] + `"`
		if f[1] != "-" {
			disposition += `; filename="` + f[1] + `"`
		}
		part, err := w.CreatePart(map[string][]string{"Content-Disposition": {disposition}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, f[2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return exchange{"POST", "/api/v1/documents", b.String(), map[string]string{"Content-Type": w.FormDataContentType()}}
}

func TestUpload(t *testing.T) {
	w := newWorld(t)
	s := serve(t, New(w.config()))
	got := form(t, [3]string{"collection", "-", "subidas"}, [3]string{"file", "Señal de fábrica.txt", "uno"}, [3]string{"file", "b.txt", "dos"}).decode(t, s, 202)
	if len(got["documents"].([]any)) != 2 || w.added["subidas/Señal de fábrica.txt"] != "uno" || w.added["subidas/b.txt"] != "dos" {
		t.Errorf("%v %v", got, w.added)
	}
	form(t, [3]string{"file", "c.txt", "tres"}).decode(t, s, 202)
	if w.added["/c.txt"] != "tres" {
		t.Errorf("without a collection: %v", w.added)
	}
}

// TestHostileUploads sends names that lead elsewhere. None may reach the corpus.
func TestHostileUploads(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.MaxUpload = 10
	s := serve(t, New(cfg))
	collection := func(name string) exchange {
		return form(t, [3]string{"collection", "-", name}, [3]string{"file", "ok.txt", "x"})
	}
	file := func(name string) exchange { return form(t, [3]string{"file", name, "x"}) }
	for name, c := range map[string]struct {
		exchange
		status int
	}{
		"up":               {file("../../fuera.txt"), 422},
		"rooted":           {file("/fuera.txt"), 422},
		"backslashes":      {file(`..\\..\\fuera.txt`), 422},
		"dots":             {file(".."), 422},
		"hidden":           {file(".bashrc"), 422},
		"nameless":         {file(""), 422},
		"control":          {file("a\x01b.txt"), 400},
		"zero":             {file("a\x00b.txt"), 400},
		"long":             {file(strings.Repeat("a", 256)), 422},
		"collection up":    {collection("../../fuera"), 422},
		"collection dots":  {collection(".."), 422},
		"collection deep":  {collection("a/b"), 422},
		"collection lines": {collection("a\nb"), 422},
		"too large":        {form(t, [3]string{"file", "a.txt", strings.Repeat("x", 11)}), 413},
		"no file":          {form(t, [3]string{"collection", "-", "a"}), 422},
		"another field":    {form(t, [3]string{"nosuch", "-", "a"}), 422},
		"cut":              {exchange{"POST", "/api/v1/documents", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx", map[string]string{"Content-Type": "multipart/form-data; boundary=b"}}, 400},
	} {
		resp, raw := c.send(t, s)
		if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != problemType || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, raw, c.status)
		}
	}
	if len(w.added) != 0 {
		t.Errorf("added %v", w.added)
	}
	late := form(t, [3]string{"file", "a.txt", "x"}, [3]string{"collection", "-", "late"}).decode(t, s, 400)
	if len(late["documents"].([]any)) != 1 {
		t.Errorf("what was taken before the refusal is not said: %v", late)
	}
}

// TestLargeUpload writes more than any buffer holds before it reads, to a server that refuses it: it must still hear why.
func TestLargeUpload(t *testing.T) {
	cfg := newWorld(t).config()
	cfg.MaxUpload = 32 << 20
	s := serve(t, New(cfg))
	x := form(t, [3]string{"file", "../a.txt", strings.Repeat("x", 20<<20)})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", x.path, x.header["Content-Type"], len(x.body))
	if _, err := io.WriteString(conn, head+x.body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 422 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestEvents follows a change from the corpus to a client, then ends the server.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	done := make(chan struct{})
	cfg.Done = done
	s := serve(t, New(cfg))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w.changes <- ingest.Event{Document: contract}
	for e := range events(resp.Body) {
		if e.name != "document" || !strings.Contains(e.data, `"id":"c1"`) {
			t.Errorf("%+v", e)
		}
		break
	}
	close(done)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream did not end with the server: %v", err)
	}
	if resp, _ := (exchange{"GET", "/readyz", "", nil}).send(t, s); resp.StatusCode != 503 {
		t.Errorf("ready while stopping: %d", resp.StatusCode)
	}
}

// deaf is a connection that cannot be written to.
type deaf struct{ http.ResponseWriter }

func (deaf) Write([]byte) (int, error) { return 0, errors.New("deadline") }

// TestDeafReader ends the producer's context when an event cannot be written.
func TestDeafReader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := &eventStream{writer: deaf{}, control: http.NewResponseController(deaf{}), cancel: cancel}
	if err := e.send("token", 1); err == nil || ctx.Err() == nil {
		t.Errorf("error %v, context %v", err, ctx.Err())
	}
}

// TestSpanish: what a person meets is said in the reader's language.
func TestSpanish(t *testing.T) {
	w := newWorld(t)
	w.changes = make(chan ingest.Event, 1)
	w.search = func(retrieval.Query) (retrieval.Result, error) {
		return retrieval.Result{Warnings: []retrieval.Warning{{Cause: retrieval.ErrUnavailable}}}, nil
	}
	s := serve(t, New(w.config()))
	for lang, want := range map[string][2]string{
		"es-ES,es;q=0.9": {"no hay nada con ese identificador", "Se ha buscado solo por palabras"},
		"fr":             {"there is nothing with that id", "Searched by words only"},
	} {
		header := map[string]string{"Accept-Language": lang}
		if resp, body := (exchange{"GET", "/api/v1/documents/none", "", header}).send(t, s); resp.StatusCode != 404 || !strings.Contains(body, want[0]) {
			t.Errorf("%s: %d %s", lang, resp.StatusCode, body)
		}
		if _, body := (exchange{"POST", "/api/v1/search", `{"query":"x"}`, header}).send(t, s); !strings.Contains(body, want[1]) {
			t.Errorf("%s: %s", lang, body)
		}
	}
	w.changes <- ingest.Event{Document: broken}
	close(w.changes)
	_, body := (exchange{"GET", "/api/v1/events?lang=es", "", map[string]string{"Accept-Language": "en"}}).send(t, s)
	if !strings.Contains(body, "El archivo está dañado") {
		t.Errorf("an event of a page in Spanish in an English browser: %s", body)
	}
}
