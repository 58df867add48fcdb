package ingest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// probeTime is between two documents that are tried again with an engine that
// does not run. To try it costs reading a document, and hundreds may wait for it.
const probeTime = 5 * time.Minute

// An outages knows since when engines do not run, as far as documents have shown.
type outages struct {
	mu    sync.Mutex
	tried map[string]time.Time // engines that do not run, and when one was last tried again
}

// begin takes down that an engine did not run when it was asked.
func (o *outages) begin(engine string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tried == nil {
		o.tried = map[string]time.Time{}
	}
	if _, out := o.tried[engine]; !out {
		o.tried[engine] = time.Time{}
	}
}

// end takes down that an engine runs, and reports whether it did not before.
func (o *outages) end(engine string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, out := o.tried[engine]
	delete(o.tried, engine)
	return out
}

// probe reports whether a document that waits for an engine may be tried again,
// and if not, when one may. Of an engine that does not run it lets one pass.
func (o *outages) probe(engine string, now time.Time) (pass bool, next time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	tried, out := o.tried[engine]
	if next = tried.Add(probeTime); out && now.Before(next) {
		return false, next
	}
	if out {
		o.tried[engine] = now
	}
	return true, time.Time{}
}

// runs takes down that an engine runs. When it did not before, all documents that wait for it are queued, whenever
// they were to be tried again.
func (c *Corpus) runs(ctx context.Context, engine string) {
	if !c.outages.end(engine) {
		return
	}
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	for _, r := range c.ledger.rows() {
		if r.missing() == engine && r.Error.RetryAt != nil {
			again := *r
			again.Status, again.Error = Queued, nil
			ch.put(&again)
		}
	}
	if len(ch.docs) == 0 {
		return
	}
	if err := c.apply(ctx, ch, "requeued"); err != nil {
		c.cfg.Log.Warn("what waits for an engine that runs again is tried at its own time", "engine", engine, "err", err)
	}
}

// missing is the engine that a document waits for, or "".
func (r *row) missing() string {
	switch {
	case !r.lacking() || r.Error.Code != parse.EngineMissing:
		return ""
	case strings.HasPrefix(r.MIME, "audio/"), strings.HasPrefix(r.MIME, "video/"):
		return "speech"
	}
	return "ocr"
}
