package ingest

import (
	"sync"
	"testing"
	"time"
)

// TestIndexFails: a document on its way into an index that cannot be written is not to blame.
func TestIndexFails(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "Una garantía.")
	w.cfg.at = func(state string) {
		if state == "cut" {
			w.index.Close()
		}
	}
	w.reopen()
	for range maxAttempts {
		if _, err := w.Sync(t.Context(), nil); err == nil {
			t.Fatal("an index that is closed was written")
		}
		w.reopen()
	}
	w.want(map[string]string{"a.txt": "queued"})
	w.Corpus.cfg.at = func(string) {}
	w.sync()
	w.want(map[string]string{"a.txt": "ready"})
}

// TestSlowFolder: where a look at the folder takes long, what is missing is dropped all the same.
func TestSlowFolder(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "Una.")
	w.sync()
	w.unlink("a.txt")
	for range 2 {
		if _, err := w.scan(t.Context(), func(string) { time.Sleep(fresh + quiet) }); err != nil {
			t.Fatal(err)
		}
	}
	w.want(map[string]string{})
}

// TestSlowReading: after files that take long to read, the folder is looked at again soon.
func TestSlowReading(t *testing.T) {
	w := newWorld(t)
	read := make(chan struct{})
	once := sync.OnceFunc(func() { time.Sleep(2 * time.Second); close(read) })
	w.Corpus.cfg.at = func(state string) {
		if state == "hashed" {
			once()
		}
	}
	w.write("a.txt", "Una.")
	w.run()
	<-read
	w.eventually(map[string]string{"a.txt": "ready"})
	start := time.Now()
	w.write("b.txt", "Otra.")
	w.eventually(map[string]string{"a.txt": "ready", "b.txt": "ready"})
	if took := time.Since(start); took > time.Minute {
		t.Errorf("a new file was found after %s", took)
	}
}

// TestStrandedAndGone: a document whose file is to be read anew and is gone waits for nothing.
func TestStrandedAndGone(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "FAIL corrupt")
	w.sync()
	w.unlink("a.txt")
	if err := w.forget(t.Context(), []string{"a.txt"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Retry(t.Context(), idOf("FAIL corrupt")); err != nil {
		t.Fatal(err)
	}
	id, _ := w.queue.claim()
	if err := w.process(t.Context(), id); err != nil { // it finds no file
		t.Fatal(err)
	}
	w.queueStranded(&tree{files: map[string]stamp{}})
	if idle, _ := w.queue.idle(); !idle {
		t.Error("it is queued again and again")
	}
}
