package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// A trace follows one request.
type trace struct {
	id       string
	language string // of its reader
	cause    error  // of a 500, for the log alone
}

type traceKey struct{}

func traceOf(ctx context.Context) *trace {
	if t, ok := ctx.Value(traceKey{}).(*trace); ok {
		return t
	}
	return &trace{}
}

// identify gives the request its id.
func (s *server) identify(c *gin.Context) {
	t := &trace{id: uuid.NewString(), language: readerLanguage(c.GetHeader("Accept-Language"))}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), traceKey{}, t))
	c.Header("X-Request-Id", t.id)
}

// logged writes a line a request: never a query, a body, a question or a name of a file.
func (s *server) logged(c *gin.Context) {
	start := time.Now()
	c.Next()
	t := traceOf(c.Request.Context())
	s.Log.Debug("request", "method", c.Request.Method, "route", c.FullPath(), "status", c.Writer.Status(), "ms", time.Since(start).Milliseconds(), "id", t.id)
	if t.cause != nil {
		s.Log.Error("request failed", "id", t.id, "err", t.cause)
	}
}

// recovered turns a panic into a problem. Where the answer has begun, or the client has gone, it breaks the connection off.
func (s *server) recovered(c *gin.Context) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		gone := c.Request.Context().Err() != nil
		if err, _ := r.(error); !gone && !errors.Is(err, http.ErrAbortHandler) {
			s.Log.Error("panic", "id", traceOf(c.Request.Context()).id, "panic", r, "stack", string(debug.Stack()))
		}
		if c.Writer.Written() || gone {
			panic(http.ErrAbortHandler)
		}
		refuse(c, errInternal)
	}()
	c.Next()
}

// policy lets a page run and load nothing but what this server itself serves.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; connect-src 'self'; font-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// headers are those of every answer. There are no CORS headers: no other origin may read anything.
func (s *server) headers(c *gin.Context) {
	c.Header("Content-Security-Policy", policy)
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Referrer-Policy", "no-referrer")
	c.Header("Cross-Origin-Resource-Policy", "same-origin")
	c.Header("Cache-Control", "no-store")
}

// hostSet holds the names of the configuration, in lower case.
func hostSet(names []string) map[string]bool {
	set := map[string]bool{"localhost": true}
	for _, name := range names {
		set[strings.ToLower(name)] = true
	}
	return set
}

// knownHost refuses requests that came by a name that is not ours: by DNS
// rebinding any page could read the documents. No suffix is ever accepted.
func (s *server) knownHost(c *gin.Context) {
	host := c.Request.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if addr, err := netip.ParseAddr(host); s.hosts[host] || err == nil && addr.Unmap().IsLoopback() {
		return
	}
	refuse(c, errHost)
}

// sameOrigin refuses what a page of another origin sends. It lets GET pass: no GET changes anything.
func (s *server) sameOrigin(c *gin.Context) {
	if s.origins.Check(c.Request) != nil {
		refuse(c, errOrigin)
	}
}

// boundedBody reads the body of a request, if it is JSON, not large and not slow.
// The deadline is lifted afterwards: with it set, net/http would take a long
// answer for a client that left. Uploads are read by their own handler.
func (s *server) boundedBody(c *gin.Context) {
	r := c.Request
	if path := c.FullPath(); r.ContentLength == 0 || path == "" || path == uploadPath {
		return // nobody reads a body without a route
	}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
			refuse(c, errMedia)
			return
		}
	}
	control := http.NewResponseController(c.Writer)
	_ = control.SetReadDeadline(time.Now().Add(s.bodyWait)) // not every writer of a test can
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if len(body) > maxBody {
		// Read on, or the client would still be writing when the answer comes, and never see it.
		_, _ = io.CopyN(io.Discard, r.Body, 64<<20)
		err = errTooLarge
	}
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		c.Header("Connection", "close")
		refuse(c, unreadable(err))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
}

// unreadable is the problem for a body that could not be read.
func unreadable(err error) error {
	var p *problem
	var late net.Error
	switch {
	case errors.As(err, &p):
		return err
	case errors.As(err, &late) && late.Timeout():
		return errSlow
	default:
		return newProblem(http.StatusBadRequest, "bad_request", "the body of the request is malformed, or was cut off").
			es("la petición está mal formada o se ha cortado")
	}
}
