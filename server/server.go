// Package server speaks HTTP for the program: the REST interface of
// CONTRACT.md, its event streams, and the pages of the user interface.
//
// It translates and refuses, and holds no rule of the business. REST routes go
// through huma, which checks what comes in and describes all of it in
// /openapi.json; those that huma would only get in the way of (uploads, files)
// are plain gin, and described by hand.
package server

import (
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/acervo-kb/acervo/hwplan"
)

// Config is what the server serves, and to whom.
type Config struct {
	Corpus   Corpus
	Index    Index
	Answerer Answerer
	Chats    Chats
	Machine  *hwplan.Keeper
	UI       fs.FS // the user interface, with an index.html; nil means none
	// Hosts are the names, besides those of the loopback interface, that a browser may call the server by.
	Hosts     []string
	Folder    string // of the documents, to be shown
	Version   string
	Embedder  string // name of the embedding model, or ""
	MaxUpload int64  // bytes a file; default 512 MiB
	// Asks is how many questions are answered at once (default 4), Queue how many more may wait (default 16).
	Asks, Queue int
	// Done ends event streams when it is closed; nil means never.
	Done <-chan struct{}
	Log  *slog.Logger
}

// Limits on what a request may cost.
const (
	maxBody     = 1 << 20          // bytes of a JSON body
	bodyWait    = 15 * time.Second // for a JSON body to arrive
	uploadWait  = 30 * time.Second // for the next bytes of an upload
	writeWait   = 15 * time.Second // for an event to leave
	heartbeat   = 15 * time.Second // between comments in a stream that is silent
	historySize = 12               // messages of a conversation that a question is sent with
)

type server struct {
	Config
	asks     *admission
	hosts    map[string]bool
	origins  *http.CrossOriginProtection
	bodyWait time.Duration
	beat     time.Duration
}

// New returns the handler of every route.
func New(cfg Config) http.Handler { return newServer(cfg).handler() }

func newServer(cfg Config) *server {
	if cfg.MaxUpload == 0 {
		cfg.MaxUpload = 512 << 20
	}
	if cfg.Asks == 0 {
		cfg.Asks = 4
	}
	if cfg.Queue == 0 {
		cfg.Queue = 16
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &server{
		Config: cfg, asks: newAdmission(cfg.Asks, cfg.Queue), hosts: hostSet(cfg.Hosts), origins: http.NewCrossOriginProtection(),
		bodyWait: bodyWait, beat: heartbeat,
	}
}

// handler is every route on one screen.
func (s *server) handler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.RedirectTrailingSlash = false
	engine.HandleMethodNotAllowed = true
	engine.Use(s.identify, s.logged, s.recovered, s.headers, s.knownHost, s.sameOrigin, s.boundedBody)
	engine.NoRoute(newUI(s.UI, s.Log).serve)
	engine.NoMethod(func(c *gin.Context) { refuse(c, errMethod) })

	api := newAPI(engine, s.Version)
	rest(api, "GET /healthz", 200, "Whether the process is alive", s.health)
	rest(api, "GET /readyz", 200, "Whether it is ready to answer", s.ready, 503)
	rest(api, "GET /api/v1/documents", 200, "The documents, page by page", s.list, 422)
	rest(api, "GET /api/v1/documents/{id}", 200, "One document", s.document, 404)
	rest(api, "DELETE /api/v1/documents/{id}", 204, "Move a document to the trash", s.remove, 404)
	rest(api, "POST /api/v1/documents/{id}/restore", 202, "Bring a document back from the trash", s.restore, 404)
	rest(api, "POST /api/v1/documents/{id}/retry", 202, "Try a document that failed, or what could not be read of it, once more", s.retry, 404)
	rest(api, "GET /api/v1/documents/{id}/chunks", 200, "The passages of a document, page by page", s.chunks, 404, 422)
	rest(api, "GET /api/v1/collections", 200, "The collections, with counts", s.collections)
	rest(api, "POST /api/v1/search", 200, "Find passages", s.search, 400, 413, 415, 422, 503)
	rest(api, "POST /api/v1/verify", 200, "Prove that folder, ledger and index agree", s.verify, 415, 422)
	rest(api, "GET /api/v1/chats", 200, "The saved conversations", s.chats)
	rest(api, "GET /api/v1/chats/{id}", 200, "One conversation", s.chat, 404)
	rest(api, "DELETE /api/v1/chats/{id}", 204, "Forget a conversation", s.forget, 404)
	rest(api, "GET /api/v1/plan", 200, "The plan in force: which model computes where", s.plan, 503)
	rest(api, "POST /api/v1/plan", 200, "The plan of a machine that is described", s.whatIf, 400, 413, 415, 422)
	rest(api, "GET /api/v1/hardware", 200, "The machine, its state, and the loaded models", s.hardware, 503)
	raw(engine, api, metricsOperation(api), s.metrics)
	stream(api, queryOperation(api), s.query)
	raw(engine, api, uploadOperation(api), s.upload)
	raw(engine, api, contentOperation(api), s.content)
	engine.HEAD("/api/v1/documents/:id/content", s.content)
	raw(engine, api, pageOperation(api), s.page)
	raw(engine, api, eventsOperation(api), s.events)
	raw(engine, api, syncOperation(api), s.sync)
	return engine
}
