// Package openai runs embedding and chat models in any server that speaks
// OpenAI's protocol: llama-server, LM Studio, vLLM and others.
package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Config says which model runs where.
type Config struct {
	URL     string // with or without /v1
	Model   string
	Key     string // sent as Authorization: Bearer; optional
	Context int    // tokens the server gives the chat model, to report; default 8192
}

const (
	dialTime = 2 * time.Second
	// answerTime bounds the wait for a server's first byte: it may first have to load the
	// model and to read a long prompt, minutes on a slow machine.
	answerTime = 10 * time.Minute
	// longest is the most bytes of one answer that are read.
	longest = 256 << 20
)

// client is what the embedder and the generator have in common.
type client struct {
	http  *http.Client
	base  *url.URL // ends in /v1
	key   string
	model string
}

func newClient(cfg Config) (client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return client{}, fmt.Errorf("%q is no URL of a model server: it is like http://127.0.0.1:8080", cfg.URL)
	}
	if u.Path = strings.TrimRight(u.Path, "/"); !strings.HasSuffix(u.Path, "/v1") {
		u.Path += "/v1"
	}
	return client{http: newHTTP(), base: u, key: cfg.Key, model: cfg.Model}, nil
}

// newHTTP returns a client that goes where it is told only: it follows no redirect.
func newHTTP() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment, // which leaves loopback alone
			DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSHandshakeTimeout:   2 * dialTime,
			ResponseHeaderTimeout: answerTime,
			IdleConnTimeout:       time.Minute,
			ForceAttemptHTTP2:     true,
		},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("it redirects to %s, which is not followed", r.URL.Redacted())
		},
	}
}

// call sends body, or asks without one, and returns the answer's body to read and close.
func (c client) call(ctx context.Context, method, route string, body any) (io.ReadCloser, error) {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(route).String(), sent)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }()
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, &statusError{at: c.at(), code: resp.StatusCode, message: message(raw)}
	}
	return http.MaxBytesReader(nil, resp.Body, longest), nil
}

func (c client) at() string { return c.base.Redacted() }

// explain puts an error of the network into words.
func (c client) explain(err error) error {
	var network *url.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%s did not answer in time: %w", c.at(), network.Err)
	case errors.As(err, &network):
		return fmt.Errorf("%s cannot be reached: %w", c.at(), network.Err)
	}
	return fmt.Errorf("%s: %w", c.at(), err)
}

// A statusError is a server's refusal.
type statusError struct {
	at      string
	code    int
	message string
}

func (e *statusError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s answered %d: %s", e.at, e.code, e.message), ": ")
}

// message is what a server says in the body of an error, whichever of the usual forms it takes.
func message(raw []byte) string {
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  string          `json:"detail"`
	}
	var object struct {
		Message string `json:"message"`
	}
	var text string
	switch {
	case json.Unmarshal(raw, &body) != nil:
		text = string(raw)
	case json.Unmarshal(body.Error, &object) == nil && object.Message != "":
		text = object.Message
	case json.Unmarshal(body.Error, &text) == nil && text != "":
	case body.Message != "":
		text = body.Message
	case body.Detail != "":
		text = body.Detail
	default:
		text = string(raw)
	}
	return clip(text)
}

// clip makes a line to show of what a server sent.
func clip(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
