package ingest

import (
	"slices"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A queue is the order in which documents are worked on, and what is being
// done. What is in it is only a suggestion: the ledger says who is Queued.
type queue struct {
	mu      sync.Mutex
	waiting []task // each id once
	known   map[string]bool
	working map[string]*job
	bell    chan struct{} // closed when something of this changes, and made anew
}

// A task is a document that waits. Of large ones one at a time is worked on: it
// bounds the memory they take, and small ones pass them by. So it is with those
// that an engine reads, which takes hours: an engine has one document at a time.
type task struct {
	id     string
	large  bool
	engine string // "" until the document is known to need one
}

// largeBytes is the size of file from which a document is large.
const largeBytes = 16 << 20

// engineTurn is how long a document keeps its engine while others wait for it: taking it up again costs reading it again.
const engineTurn = 10 * time.Minute

// A job is the work on one document.
type job struct {
	large    bool
	engine   string
	stage    string
	progress *Progress // in it
	pace     pace
	waits    parse.Wait
	told     time.Time // when its progress was last told
}

func newQueue() *queue {
	return &queue{known: map[string]bool{}, working: map[string]*job{}, bell: make(chan struct{})}
}

func (q *queue) ring() {
	close(q.bell)
	q.bell = make(chan struct{})
}

// push puts a document at the end, if it does not wait already.
func (q *queue) push(r *row) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.known[r.ID] {
		q.known[r.ID] = true
		q.waiting = append(q.waiting, task{id: r.ID, large: r.Bytes >= largeBytes})
		q.ring()
	}
}

// claim takes the first that may be worked on now. Without one it returns "" and a
// channel that is closed when there may be one.
func (q *queue) claim() (id string, bell <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	large, engines := false, map[string]bool{}
	for _, j := range q.working {
		large, engines[j.engine] = large || j.large, j.engine != ""
	}
	i := slices.IndexFunc(q.waiting, func(t task) bool {
		return q.working[t.id] == nil && (!large || !t.large) && !engines[t.engine]
	})
	if i < 0 {
		return "", q.bell
	}
	t := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	delete(q.known, t.id)
	q.working[t.id] = &job{large: t.large, engine: t.engine}
	return t.id, nil
}

// engage makes a job one of an engine, which takes no memory of ours. While the
// engine has another it returns false, and the document waits again.
func (q *queue) engage(id, engine string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for other, j := range q.working {
		if other == id || j.engine != engine {
			continue
		}
		waits := task{id: id, engine: engine}
		if i := slices.IndexFunc(q.waiting, func(t task) bool { return t.id == id }); i >= 0 {
			q.waiting[i] = waits
		} else {
			q.known[id] = true
			q.waiting = append(q.waiting, waits)
		}
		return false
	}
	if j := q.working[id]; j != nil {
		j.large, j.engine = false, engine
		q.ring()
	}
	return true
}

// pass puts a job of an engine behind those documents that wait for the engine, and reports whether there are any.
func (q *queue) pass(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.working[id]
	if j == nil || !slices.ContainsFunc(q.waiting, func(t task) bool { return t.id != id && t.engine == j.engine }) {
		return false
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(t task) bool { return t.id == id })
	q.known[id] = true
	q.waiting = append(q.waiting, task{id: id, engine: j.engine})
	return true
}

// release ends the work on a document.
func (q *queue) release(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.working, id)
	q.ring()
}

// idle reports that nothing waits and nobody works, and returns a channel that
// is closed when that may have changed.
func (q *queue) idle() (bool, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)+len(q.working) == 0, q.bell
}

// note records how far a job has come, and reports whether it is time to tell.
func (q *queue) note(id, stage string, p *Progress) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.working[id]
	if j == nil {
		return false
	}
	tell := j.stage != stage || time.Since(j.told) > 250*time.Millisecond
	if p != nil && (j.stage != stage || j.progress == nil) {
		j.pace.start(time.Now(), p.Done)
	} else if p != nil {
		j.pace.reach(time.Now(), p.Done)
	}
	if j.stage, j.progress = stage, p; tell {
		j.told = time.Now()
	}
	return tell
}

// wait records for what a job waits, or that it goes on.
func (q *queue) wait(id string, why parse.Wait) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j := q.working[id]; j != nil {
		j.waits = why
		j.pace.wait(time.Now(), why != "")
	}
}

// describe makes d the document it is while someone works on it.
func (q *queue) describe(d *Document) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.working[d.ID]
	if j == nil || j.stage == "" {
		return
	}
	d.Status, d.Stage = Working, j.stage
	if j.progress != nil {
		p := *j.progress
		p.LeftS, p.Waits = j.pace.left(time.Now(), p.Total), j.waits
		d.Progress = &p
	}
}
