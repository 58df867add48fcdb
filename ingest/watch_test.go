package ingest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

func TestWatch(t *testing.T) {
	w := newWorld(t)
	w.write("old.txt", "Lo que ya estaba nombra a Larra.")
	stop := w.run()
	w.eventually(map[string]string{"old.txt": "ready"})
	t.Log("a directory with files in it, made at once")
	w.write("new/deep/a.txt", "Lo nuevo nombra a Clarín.")
	w.write("new/b.txt", "FAIL corrupt")
	w.eventually(map[string]string{"old.txt": "ready", "new/deep/a.txt": "ready", "new/b.txt": "failed corrupt"})
	w.rename("new", "moved")
	w.eventually(map[string]string{"old.txt": "ready", "moved/deep/a.txt": "ready", "moved/b.txt": "failed corrupt"})
	w.finds("Clarín", "moved/deep/a.txt")
	t.Log("an atomic save")
	w.write("moved/deep/a.txt~", "Lo nuevo nombra a Galdós.")
	w.rename("moved/deep/a.txt~", "moved/deep/a.txt")
	w.write("moved/deep/c.txt", "Another.")
	w.eventually(map[string]string{"old.txt": "ready", "moved/deep/a.txt": "ready", "moved/b.txt": "failed corrupt", "moved/deep/c.txt": "ready"})
	w.finds("Galdós", "moved/deep/a.txt")
	w.finds("Clarín")
	w.unlink("old.txt")
	w.eventually(map[string]string{"moved/deep/a.txt": "ready", "moved/b.txt": "failed corrupt", "moved/deep/c.txt": "ready"})
	w.finds("Larra")
	if err := os.WriteFile(filepath.Join(w.docs, ignoreFile), []byte("# no se lee\nb.*\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.eventually(map[string]string{"moved/deep/a.txt": "ready", "moved/deep/c.txt": "ready"})
	stop()
	w.verified()
}

// TestHalfWritten writes a file slowly: it must not be taken before it is whole.
func TestHalfWritten(t *testing.T) {
	w := newWorld(t)
	w.run()
	events := w.Subscribe(t.Context())
	f, err := os.Create(filepath.Join(w.docs, "acta.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		fmt.Fprintf(f, "Punto %d: se aprueba. ", i)
		time.Sleep(quiet / 3)
	}
	f.Close()
	w.eventually(map[string]string{"acta.txt": "ready"})
	ids := map[string]bool{}
	for len(events) > 0 {
		ids[(<-events).Document.ID] = true
	}
	if d := w.doc("acta.txt"); len(ids) != 1 || !ids[d.ID] {
		t.Errorf("%d contents were taken while it was written", len(ids))
	}
}

// TestFolderGone takes the folder away, as when a drive is not mounted, and brings it back.
func TestFolderGone(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "Lo que estaba nombra a Larra.")
	w.sync()
	away := w.docs + ".away"
	for _, mounted := range []bool{false, true} {
		if err := os.Rename(w.docs, away); err != nil {
			t.Fatal(err)
		}
		if mounted { // an empty mount point
			if err := os.Mkdir(w.docs, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			if _, err := w.Sync(t.Context(), nil); err == nil {
				t.Errorf("a folder that is gone (mount point: %v) is no error", mounted)
			}
			time.Sleep(quiet)
		}
		w.want(map[string]string{"a.txt": "ready"})
		w.finds("Larra", "a.txt")
		if mounted {
			if err := os.Remove(w.docs); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(away, w.docs); err != nil {
			t.Fatal(err)
		}
		w.sync()
	}
	w.want(map[string]string{"a.txt": "ready"})
	w.unlink("a.txt")
	w.sync()
	w.want(map[string]string{}) // the same folder, empty: that was meant

	w.write("b.txt", "Una.")
	stop := w.run()
	w.eventually(map[string]string{"b.txt": "ready"})
	if err := os.RemoveAll(w.docs); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * quiet)
	w.want(map[string]string{"b.txt": "ready"})
	w.write("c.txt", "Otra.")
	w.eventually(map[string]string{"c.txt": "ready"})
	stop()
}

func TestWhatIsNoFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links and pipes need rights on Windows")
	}
	w := newWorld(t)
	outside := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(outside, []byte("El secreto."), 0o644); err != nil {
		t.Fatal(err)
	}
	w.write("a.txt", "Una.")
	for _, link := range [][2]string{{outside, "link.txt"}, {filepath.Dir(outside), "linked"}, {"a.txt", "inside.txt"}, {".", "loop"}} {
		if err := os.Symlink(link[0], filepath.Join(w.docs, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	makePipe(t, filepath.Join(w.docs, "pipe.txt"))
	w.sync()
	w.want(map[string]string{"a.txt": "ready"})
	w.finds("secreto")

	t.Log("a link in the place of a file that was taken")
	id := w.doc("a.txt").ID
	w.unlink("a.txt")
	if err := os.Symlink(outside, filepath.Join(w.docs, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if f, _, err := w.Open(id); err == nil {
		f.Close()
		t.Error("a link was followed")
	}
	w.sync()
	w.want(map[string]string{})
}

func TestUnreadable(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("everything is readable here")
	}
	w := newWorld(t)
	w.write("a.txt", "Una.")
	full := filepath.Join(w.docs, "a.txt")
	if err := os.Chmod(full, 0); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.want(map[string]string{"a.txt": "failed not_readable"})
	w.verified()
	if err := os.Chmod(full, 0o644); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.want(map[string]string{"a.txt": "ready"})
	w.verified()
}

func TestNameThatIsNotUTF8(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(filepath.Join(w.docs, "caf\xe9.txt"), []byte("Un café."), 0o644); err != nil {
		t.Skip("the file system refuses the name")
	}
	w.write("cafe\u0301.txt", "Otro.")
	w.write("caf\u00e9.txt", "Otro más.")
	s := w.sync()
	if len(s.Failed) != 1 || s.Indexed != 2 || s.Failed[0].Paths[0] != "caf\uFFFD.txt" {
		t.Errorf("%+v", s)
	}
	w.verified()
	w.reopen()
	if s := w.sync(); len(s.Failed) != 1 || s.Unchanged != 2 {
		t.Errorf("%+v", s)
	}
}

// TestWhileItIsRead changes what is being read in every way.
func TestWhileItIsRead(t *testing.T) {
	w := newWorld(t)
	hold := make(chan struct{})
	w.reader.hold = hold
	for _, name := range []string{"edited", "renamed", "deleted", "removed"} {
		w.write(name+".txt", "Antes: "+name)
	}
	stop := w.run()
	w.eventually(map[string]string{"edited.txt": "working", "renamed.txt": "working", "deleted.txt": "working", "removed.txt": "working"})
	gone := w.doc("removed.txt").ID
	w.write("edited.txt", "Después: otra cosa.")
	w.rename("renamed.txt", "there.txt")
	w.unlink("deleted.txt")
	if err := w.Remove(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	time.Sleep(quiet / 2)
	close(hold)
	w.eventually(map[string]string{"edited.txt": "ready", "there.txt": "ready"})
	stop()
	w.finds("Antes", "there.txt")
	w.finds("Después", "edited.txt")
	if n := len(w.index.Sources()); n != 2 {
		t.Errorf("the index holds %d sources", n)
	}
	w.verified()
}

// TestOldVersionAnswers: an edit is built beside, then switched.
func TestOldVersionAnswers(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "La versión vieja.")
	w.sync()
	hold := make(chan struct{})
	w.reader.hold = hold
	w.run()
	w.write("a.txt", "La versión reciente.")
	w.eventually(map[string]string{"a.txt": "working"})
	w.finds("vieja", "a.txt")
	if s := w.index.Sources(); len(s) != 1 {
		t.Errorf("the index holds %v", s)
	}
	close(hold)
	w.eventually(map[string]string{"a.txt": "ready"})
	w.finds("vieja")
	w.finds("reciente", "a.txt")
}

// TestPoison: a document that ends the process again and again is put aside.
func TestPoison(t *testing.T) {
	w := newWorld(t)
	w.write("good.txt", "Bueno.")
	w.write("bad.txt", "FAIL crashed")
	w.write("poison.txt", "Veneno.")
	w.sync()
	ch := w.ledger.begin()
	r := ch.row(w.doc("poison.txt").ID)
	r.Status, r.Attempts = Queued, maxAttempts
	ch.put(r)
	if err := ch.commit(); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	want := map[string]string{"good.txt": "ready", "bad.txt": "failed crashed", "poison.txt": "failed crashed"}
	w.want(want)
	w.sync()
	w.reopen()
	w.sync()
	w.want(want)
	w.verified()
	if _, err := w.Retry(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.finds("Veneno", "poison.txt")
}

// TestPanic: a document that makes the cutting panic is a row, not an end.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.cfg.Count = func(s string) int {
		if strings.Contains(s, "boom") {
			panic("as told")
		}
		return len(s)
	}
	w.Corpus.cfg.Count = w.cfg.Count
	w.write("a.txt", "boom")
	w.write("b.txt", "Bueno.")
	w.sync()
	w.want(map[string]string{"a.txt": "failed crashed", "b.txt": "ready"})
	w.verified()
}

// TestSettingsAreReadAnew: other settings read every document anew, while the old chunks answer.
func TestSettingsAreReadAnew(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "Una garantía.")
	w.write("b.txt", "FAIL unsupported")
	w.sync()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.cfg.Chunk.Size = 600
	var err error
	if w.Corpus, err = Open(t.Context(), w.cfg); err != nil {
		t.Fatal(err)
	}
	w.want(map[string]string{"a.txt": "queued", "b.txt": "queued"})
	w.finds("garantía", "a.txt")
	w.sync()
	if n := w.reader.count("a.txt") + w.reader.count("b.txt"); n != 4 {
		t.Errorf("the documents were read %d times in all", n)
	}
	w.verified()
}

// TestIndexLost: the ledger rebuilds an index that is gone, and drops what it does not know.
func TestIndexLost(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "Una garantía.")
	w.sync()
	id := w.doc("a.txt").ID
	if err := w.index.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	stray := retrieval.Source{ID: "stray", Title: "x", Paths: []string{"x"}}
	if err := w.index.Replace(t.Context(), stray, []retrieval.Chunk{{Text: "Un huérfano."}}); err != nil {
		t.Fatal(err)
	}
	problems, err := w.Verify(t.Context(), true)
	if err != nil || len(problems) != 2 {
		t.Errorf("Verify: %q %v", problems, err)
	}
	w.finds("garantía", "a.txt")
	w.finds("huérfano")
	w.verified()
}

// TestVerify sees what differs between folder and ledger, and mends it.
func TestVerify(t *testing.T) {
	w := newWorld(t)
	w.write("same.txt", "Una.")
	w.write("gone.txt", "Otra.")
	w.write("sly.txt", "Fue en 1998.")
	w.sync()
	full := filepath.Join(w.docs, "sly.txt")
	info, err := os.Stat(full)
	if err != nil {
		t.Fatal(err)
	}
	w.write("sly.txt", "Fue en 1999.")
	if err := os.Chtimes(full, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	w.unlink("gone.txt")
	w.write("new.txt", "Una más.")
	problems, err := w.Verify(t.Context(), true)
	want := []string{`"gone.txt" is in the ledger and not in the folder`, `"new.txt" is in the folder and not in the ledger`, `"sly.txt" is not what it was when it was taken`}
	if err != nil || !slices.Equal(problems, want) {
		t.Errorf("Verify: %q %v", problems, err)
	}
	w.want(map[string]string{"new.txt": "ready", "same.txt": "ready", "sly.txt": "ready"})
	w.finds("1999", "sly.txt")
	w.verified()
}

// TestSlowSubscriber: one who does not read is cut off and holds nobody up.
func TestSlowSubscriber(t *testing.T) {
	w := newWorld(t)
	slow := w.Subscribe(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	left := w.Subscribe(ctx)
	cancel()
	for range left {
		t.Error("an event after its context ended")
	}
	w.write("a.txt", "Una.")
	w.sync()
	id := w.doc("a.txt").ID
	for range 2 * backlog {
		w.Embedded(id)
	}
	n := 0
	for range slow {
		n++
	}
	if n != backlog {
		t.Errorf("%d events were kept for one who does not read, not %d", n, backlog)
	}
}

// TestEvents: each state of a document is told, in order.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "Una.")
	var states []string
	if _, err := w.Sync(t.Context(), func(d Document) { states = append(states, string(d.Status)+d.Stage) }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"queued", "workingreading", "workingindexing", "ready"}; !slices.Equal(states, want) {
		t.Errorf("%q, want %q", states, want)
	}
}

func TestLedgerOfANewerVersion(t *testing.T) {
	l, err := openLedger(filepath.Join(t.TempDir(), "corpus.db"))
	if err != nil {
		t.Fatal(err)
	}
	name := l.db.Path()
	ch := l.begin()
	ch.put(&row{Document: Document{ID: "x", SHA256: "x", Status: Failed, Error: newProblem(parse.Empty, "")}})
	ch.point("caf\xe9.txt", &entry{Doc: "x"})
	if err := ch.commit(); err != nil {
		t.Fatal(err)
	}
	l.db.Close()
	if l, err = openLedger(name); err != nil || !slices.Equal(l.row("x").Paths, []string{"caf\xe9.txt"}) {
		t.Fatalf("%v %v", l, err)
	}
	if err := l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(schemaKey, []byte("9")) }); err != nil {
		t.Fatal(err)
	}
	l.db.Close()
	if _, err := openLedger(name); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a ledger of a newer version: %v", err)
	}
}

// BenchmarkScan looks at a folder of 20,000 files that are known.
func BenchmarkScan(b *testing.B) {
	docs := b.TempDir()
	w := walk{dir: docs}
	for i := range 20000 {
		dir := filepath.Join(docs, fmt.Sprint(i/200))
		if i%200 == 0 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	known, err := w.look(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	s := newSettling(quiet)
	for b.Loop() {
		w := walk{dir: docs}
		t, err := w.look(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if take, drop, next := s.look(time.Now(), &t, known.files); len(take)+len(drop) > 0 || !next.IsZero() {
			b.Fatal("something changed")
		}
	}
}
