package ingest

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// debounce is how long a hint waits for others before the folder is looked at.
	debounce = 150 * time.Millisecond
	// blindRescan is the longest time between two looks when not every directory can be watched.
	blindRescan = 30 * time.Second
)

// A watcher turns events of the file system into hints that something changed.
// What it cannot watch is found by looking more often.
type watcher struct {
	c      *Corpus
	events *fsnotify.Watcher // nil where there are none
	blind  bool              // a directory is not watched
}

func (c *Corpus) newWatcher() *watcher {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		c.cfg.Log.Warn("the folder cannot be watched; it is looked at every half minute", "err", err)
		return &watcher{c: c, blind: true}
	}
	return &watcher{c: c, events: events}
}

// enter watches a directory. It is called at every look: what was deleted and
// made anew under the same name has to be watched anew.
func (w *watcher) enter(dir string) {
	if w.events == nil {
		return
	}
	if err := w.events.Add(dir); err != nil && !w.blind {
		w.blind = true
		w.c.cfg.Log.Warn("not every directory can be watched; the folder is looked at every half minute", "dir", dir, "err", err)
	}
}

func (w *watcher) close() {
	if w.events != nil {
		_ = w.events.Close()
	}
}

// channels are those of events and of errors, or nil.
func (w *watcher) channels() (<-chan fsnotify.Event, <-chan error) {
	if w.events == nil {
		return nil, nil // never ready
	}
	return w.events.Events, w.events.Errors
}

// watch looks at the folder when it starts, when an event or a hint says so,
// when something may have become quiet, and every Rescan. Only the look counts.
func (c *Corpus) watch(ctx context.Context) error {
	w := c.newWatcher()
	defer w.close()
	events, failures := w.channels()
	var rested time.Time // no look before, so that a burst of events does not keep a core busy
	var next time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	soon := func() {
		if at := later(time.Now().Add(debounce), rested); at.Before(next) {
			next = at
			timer.Reset(time.Until(at))
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if base := filepath.Base(e.Name); !ignoredName(base) || base == ignoreFile {
				soon()
			}
		case err := <-failures:
			c.cfg.Log.Debug("events of the folder were lost", "err", err)
			soon()
		case <-c.hints:
			soon()
		case <-timer.C:
			began := time.Now()
			due, err := c.look(ctx, w.enter)
			if err != nil {
				return err
			}
			rested = time.Now().Add(4 * time.Duration(c.lookTime.Load()))
			next = later(earlier(due, began.Add(w.rescan())), time.Now().Add(debounce/10))
			timer.Reset(time.Until(next))
		}
	}
}

// absentRetry is how soon a folder that cannot be read is looked at again.
const absentRetry = 2 * time.Second

// look scans the folder and queues what is to be tried again. It returns when
// to do it again, or zero. That the folder is not there is said once, and no error.
func (c *Corpus) look(ctx context.Context, enter func(dir string)) (time.Time, error) {
	due, err := c.requeueDue(ctx)
	if err != nil {
		return due, err
	}
	next, err := c.scan(ctx, enter)
	lost := errors.Is(err, errFolder)
	if lost && !c.lost {
		c.cfg.Log.Warn("documents stay as they are", "docs", c.cfg.Docs, "err", err)
	}
	if c.lost = lost; lost {
		return time.Now().Add(absentRetry), nil
	}
	return earlier(next, due), err
}

func (w *watcher) rescan() time.Duration {
	if w.blind {
		return min(blindRescan, w.c.cfg.Rescan)
	}
	return w.c.cfg.Rescan
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
