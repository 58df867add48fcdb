package ingest

import (
	"slices"
	"sync"
	"time"
)

// A queue is the order in which documents are worked on, and what is being
// done. What is in it is only a suggestion: the ledger says who is Queued.
type queue struct {
	mu      sync.Mutex
	waiting []string // ids, each once
	known   map[string]bool
	working map[string]*job
	bell    chan struct{} // closed when something of this changes, and made anew
}

// A job is the work on one document.
type job struct {
	stage    string
	progress *Progress
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
func (q *queue) push(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.known[id] {
		q.known[id] = true
		q.waiting = append(q.waiting, id)
		q.ring()
	}
}

// claim takes the first that nobody works on. Without one it returns "" and a
// channel that is closed when there may be one.
func (q *queue) claim() (id string, bell <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.waiting, func(id string) bool { return q.working[id] == nil })
	if i < 0 {
		return "", q.bell
	}
	id = q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	delete(q.known, id)
	q.working[id] = &job{}
	return id, nil
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
	if j.stage, j.progress = stage, p; tell {
		j.told = time.Now()
	}
	return tell
}

// describe makes d the document it is while someone works on it.
func (q *queue) describe(d *Document) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j := q.working[d.ID]; j != nil && j.stage != "" {
		d.Status, d.Stage, d.Progress = Working, j.stage, j.progress
	}
}
