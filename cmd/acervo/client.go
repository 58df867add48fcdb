package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/acervo-kb/acervo/ingest"
)

// A client asks an Acervo server: the one that runs on the same data, or one
// within this process (see [connect]). Commands know no other way in, so they
// do the same with and without a server.
type client struct {
	http *http.Client
	base string // http://host:port
}

// localBase is the address of a server within this process.
const localBase = "http://localhost"

// problem is an error answer (RFC 9457).
type problem struct {
	Status int             `json:"status"`
	Code   string          `json:"code"`
	Title  string          `json:"title"`
	Detail string          `json:"detail"`
	Answer json.RawMessage `json:"answer,omitempty"`
}

func (p *problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// do sends a request and returns the body of its answer, or the server's problem as an error.
func (c *client) do(ctx context.Context, method, path string, body io.Reader, header http.Header) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("the server at %s did not answer: %w", c.base, err)
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	p := &problem{Status: resp.StatusCode, Title: resp.Status}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(p); err != nil {
		p.Detail = "the server answered " + resp.Status
	}
	return nil, p
}

// call sends in as JSON (nil: no body) and decodes the answer into out, which may be a *json.RawMessage.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	header := http.Header{}
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
		header.Set("Content-Type", "application/json")
	}
	answer, err := c.do(ctx, method, path, body, header)
	if err != nil {
		return err
	}
	defer answer.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(answer).Decode(out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what was expected: %w", method, path, err)
	}
	return nil
}

// stream sends in as JSON and hands over each server-sent event, until the stream ends or handle fails.
func (c *client) stream(ctx context.Context, path string, in any, handle func(event string, data []byte) error) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	body, err := c.do(ctx, http.MethodPost, path, bytes.NewReader(raw), header)
	if err != nil {
		return err
	}
	defer body.Close()
	event, data := "message", []string(nil)
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "" && data != nil:
			if err := handle(event, []byte(strings.Join(data, "\n"))); err != nil {
				return err
			}
			event, data = "message", nil
		case strings.HasPrefix(line, "event:"):
			event = strings.TrimSpace(line[len("event:"):])
		case strings.HasPrefix(line, "data:"):
			data = append(data, strings.TrimSpace(line[len("data:"):]))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	return nil
}

// documents returns all documents that match a filter, page after page.
func (c *client) documents(ctx context.Context, filter url.Values) ([]ingest.Document, error) {
	var all []ingest.Document
	query := url.Values{"limit": {"500"}}
	for key, values := range filter {
		query[key] = values
	}
	for {
		var page struct {
			Documents []ingest.Document `json:"documents"`
			Next      *string           `json:"next"`
		}
		if err := c.call(ctx, http.MethodGet, "/api/v1/documents?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Documents...)
		if page.Next == nil {
			return all, nil
		}
		query.Set("cursor", *page.Next)
	}
}

// find returns the documents that names mean: ids, beginnings of one id, or paths in the folder.
func (c *client) find(ctx context.Context, names []string) ([]ingest.Document, error) {
	all, err := c.documents(ctx, nil)
	if err != nil {
		return nil, err
	}
	var found []ingest.Document
	for _, name := range names {
		var match []ingest.Document
		for _, d := range all {
			if means(d, name) {
				match = append(match, d)
			}
		}
		switch {
		case len(match) == 0:
			return nil, fmt.Errorf("there is no document %q; `acervo list` shows their ids and paths", name)
		case len(match) > 1:
			return nil, fmt.Errorf("%q is the beginning of %d ids; write more of it", name, len(match))
		}
		found = append(found, match[0])
	}
	return found, nil
}

// means reports whether name is the document's id, the beginning of it, or one of its paths.
func means(d ingest.Document, name string) bool {
	return slices.Contains(d.Paths, filepath.ToSlash(name)) || len(name) >= 4 && strings.HasPrefix(d.ID, name)
}

// upload sends files into a collection and returns their documents.
func (c *client) upload(ctx context.Context, collection string, files []string) ([]ingest.Document, error) {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() { writer.CloseWithError(writeForm(form, collection, files)) }() // ends with the request, which closes the pipe
	defer func() { _ = reader.Close() }()                                     // a pipe always closes
	body, err := c.do(ctx, http.MethodPost, "/api/v1/documents", reader, http.Header{"Content-Type": {form.FormDataContentType()}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var answer struct {
		Documents []ingest.Document `json:"documents"`
	}
	return answer.Documents, json.NewDecoder(body).Decode(&answer)
}

func writeForm(form *multipart.Writer, collection string, files []string) error {
	if err := form.WriteField("collection", collection); err != nil {
		return err
	}
	for _, path := range files {
		if err := writeFile(form, path); err != nil {
			return err
		}
	}
	return form.Close()
}

func writeFile(form *multipart.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	part, err := form.CreateFormFile("file", filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = io.Copy(part, f)
	return err
}

// settled polls a document until the work on it is at an end. Show, which may be nil, is told how that goes.
func (c *client) settled(ctx context.Context, id string, show func(ingest.Document)) (ingest.Document, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var d ingest.Document
		if err := c.call(ctx, http.MethodGet, "/api/v1/documents/"+id, nil, &d); err != nil {
			return d, err
		}
		if d.Status != ingest.Queued && d.Status != ingest.Working {
			return d, nil
		}
		if show != nil {
			show(d)
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-tick.C:
		}
	}
}

// pipeListener accepts connections made within this process, so that a
// command can serve itself without opening a port.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close is called once, by the HTTP server.
func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// dial connects to the listener; it has the shape of [http.Transport.DialContext].
func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
