// Package ollama runs embedding and chat models in an Ollama server.
//
// Ollama loads a model anew, which takes seconds, whenever an option that its
// runner depends on differs from the last call's. So each model's options are
// made in one place, from the plan of the hardware, or else from the configuration.
package ollama

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/ollama/ollama/api"

	"github.com/acervo-kb/acervo/hwplan"
)

// Config says which model runs where.
type Config struct {
	URL   string // default http://127.0.0.1:11434
	Model string
	Key   string // for a server behind a gate: sent as Authorization: Bearer
	// Context is the num_ctx of every call, in tokens, where no plan says otherwise. By default a [Generator]'s is
	// 8192 and an [Embedder]'s 2048; Ollama lowers it to what the model was trained for.
	Context int
	// Keeper plans where the model computes; nil leaves it to the server.
	Keeper *hwplan.Keeper
}

const (
	dialTime = 2 * time.Second
	// answerTime bounds the wait for a server's first byte: it may first have to load the
	// model and to read a long prompt, minutes on a slow machine.
	answerTime = 10 * time.Minute
)

// client is what the embedder and the generator have in common.
type client struct {
	api   *api.Client
	url   string
	model string
}

func newClient(cfg Config) (client, error) {
	if cfg.URL == "" {
		cfg.URL = "http://127.0.0.1:11434"
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return client{}, fmt.Errorf("%q is no URL of an Ollama server: it is like http://127.0.0.1:11434", cfg.URL)
	}
	return client{api: api.NewClient(u, newHTTP(cfg.Key)), url: u.Redacted(), model: cfg.Model}, nil
}

// newHTTP returns a client that goes where it is told only: it follows no redirect.
func newHTTP(key string) *http.Client {
	var transport http.RoundTripper = &http.Transport{
		Proxy:                 http.ProxyFromEnvironment, // which leaves loopback alone
		DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSHandshakeTimeout:   2 * dialTime,
		ResponseHeaderTimeout: answerTime,
		IdleConnTimeout:       time.Minute,
	}
	if key != "" {
		transport = bearer{key: key, next: transport}
	}
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("it redirects to %s, which is not followed", r.URL.Redacted())
		},
	}
}

// bearer adds a key to each request.
type bearer struct {
	key  string
	next http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.key)
	return b.next.RoundTrip(r)
}

// A fault is an error in words for the user: what is wrong and what mends it.
type fault struct {
	en, es string // for the user
	err    error
}

func (f *fault) Error() string {
	var network *url.Error
	if errors.As(f.err, &network) && !network.Timeout() {
		return f.en + ": " + network.Err.Error()
	}
	return f.en
}

// In says it in a language: es, or else English.
func (f *fault) In(language string) string {
	if language == "es" {
		return f.es
	}
	return f.en
}

func (f *fault) Unwrap() error { return f.err }

// explain puts an error of the API into words.
func (c client) explain(err error) error {
	var (
		status  api.StatusError
		refused api.AuthorizationError
		network *url.Error
	)
	switch {
	case errors.As(err, &status) && status.StatusCode == http.StatusNotFound && strings.HasPrefix(status.ErrorMessage, "model "):
		return &fault{
			fmt.Sprintf("%s has no model %s: `%s` fetches it", c.at(), c.model, c.pull()),
			fmt.Sprintf("Ollama (%s) no tiene el modelo %s: `%s` lo descarga", c.url, c.model, c.pull()), err,
		}
	case errors.As(err, &status):
		message := clip(inner(status.ErrorMessage))
		return &fault{
			fmt.Sprintf("%s answered %d: %s", c.at(), status.StatusCode, message),
			fmt.Sprintf("Ollama (%s) ha respondido %d: %s", c.url, status.StatusCode, message), err,
		}
	case errors.As(err, &refused):
		return &fault{c.at() + " wants another key", fmt.Sprintf("Ollama (%s) pide otra clave", c.url), err}
	case errors.As(err, &network) && network.Timeout():
		return &fault{c.at() + " did not answer in time", fmt.Sprintf("Ollama (%s) no ha respondido a tiempo", c.url), err}
	case errors.As(err, &network):
		return &fault{c.at() + " cannot be reached", fmt.Sprintf("no se puede contactar con Ollama (%s)", c.url), err}
	}
	return &fault{fmt.Sprintf("%s: %s", c.at(), clip(err.Error())), fmt.Sprintf("Ollama (%s): %s", c.url, clip(err.Error())), err}
}

func (c client) at() string   { return "Ollama at " + c.url }
func (c client) pull() string { return "ollama pull " + c.model }

// inner is the message in what Ollama passes on of llama-server's: an error object as text.
func inner(message string) string {
	var object struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(message), &object) == nil && object.Error.Message != "" {
		return object.Error.Message
	}
	return message
}

// clip makes a line to show of what a server sent.
func clip(text string) string {
	const longest = 300
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}

// canceled says whether err is the caller's own doing.
func canceled(err error) bool { return errors.Is(err, context.Canceled) }

// forever keeps a model loaded: loading it again takes seconds.
func forever() *api.Duration { return &api.Duration{Duration: -1} }

func off() *bool { return new(bool) }
