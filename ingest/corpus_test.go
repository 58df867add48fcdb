package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLifecycle(t *testing.T) {
	w := newWorld(t)
	w.write("legal/contrato.md", "# Contrato marco\nLa garantía dura tres años y la firma Begoña.")
	w.write("manual.txt", "The dome must be closed when the wind exceeds 54 kilometres.")
	if s := w.sync(); s.Indexed != 2 || s.Unchanged != 0 || len(s.Failed) != 0 {
		t.Errorf("first sync: %+v", s)
	}
	w.finds("garantía", "legal/contrato.md")
	d := w.doc("legal/contrato.md")
	if d.Title != "Contrato marco" || d.Collection != "legal" || d.Status != Ready || d.Chunks != 1 || d.ID != d.SHA256[:32] {
		t.Errorf("document: %+v", d)
	}

	t.Log("rename and second path: nothing is read")
	w.rename("manual.txt", "obs/handbook.txt")
	w.write("copia.md", "# Contrato marco\nLa garantía dura tres años y la firma Begoña.")
	if s := w.sync(); s.Unchanged != 2 || s.Indexed != 0 || s.Removed != 0 {
		t.Errorf("after a rename: %+v", s)
	}
	w.want(map[string]string{"legal/contrato.md": "ready", "copia.md": "ready", "obs/handbook.txt": "ready"})
	w.finds("dome", "obs/handbook.txt")
	w.finds("garantía", "copia.md", "legal/contrato.md")
	if n := w.reader.count("obs/handbook.txt") + w.reader.count("copia.md"); n != 0 {
		t.Errorf("%d files were read after a rename and a copy", n)
	}
	if got := w.doc("obs/handbook.txt").Title; got != "handbook" {
		t.Errorf("title after the rename: %q", got)
	}

	t.Log("an edit, and back")
	old := w.doc("obs/handbook.txt").ID
	w.write("obs/handbook.txt", "The dome must be closed when the mistral exceeds 60 kilometres.")
	if s := w.sync(); s.Indexed != 1 || s.Removed != 0 || s.Unchanged != 1 {
		t.Errorf("after an edit: %+v", s)
	}
	w.finds("mistral", "obs/handbook.txt")
	if len(w.index.Sources()) != 2 {
		t.Errorf("the old version is still in the index: %v", w.index.Sources())
	}
	w.write("obs/handbook.txt", "The dome must be closed when the wind exceeds 54 kilometres.")
	w.sync()
	w.finds("mistral")
	if got := w.doc("obs/handbook.txt").ID; got != old {
		t.Errorf("the old content has another id: %s, not %s", got, old)
	}

	t.Log("one of two paths goes, then the other")
	w.unlink("copia.md")
	w.sync()
	w.finds("garantía", "legal/contrato.md")
	w.unlink("legal/contrato.md")
	if s := w.sync(); s.Removed != 1 {
		t.Errorf("after a deletion: %+v", s)
	}
	w.finds("garantía")
	w.want(map[string]string{"obs/handbook.txt": "ready"})
	w.verified()
	w.reopen()
	w.verified()
	if s := w.sync(); s.Indexed != 0 || s.Unchanged != 1 {
		t.Errorf("after reopening: %+v", s)
	}
}

func TestTrash(t *testing.T) {
	w := newWorld(t)
	w.write("a/x.txt", "El faro de Tabarca mide 25 metros.")
	w.write("b/y.txt", "El faro de Tabarca mide 25 metros.")
	w.sync()
	id := w.doc("a/x.txt").ID
	if err := w.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.want(map[string]string{})
	w.finds("Tabarca")
	for _, p := range []string{"a/x.txt", "b/y.txt"} {
		if _, err := os.Stat(filepath.Join(w.docs, p)); err == nil {
			t.Errorf("%s is still in the folder", p)
		}
		if _, err := os.Stat(filepath.Join(w.data, "trash", id, p)); err != nil {
			t.Error(err)
		}
	}
	docs, _, _ := w.List(Filter{Status: "removed"})
	if len(docs) != 1 || !slices.Equal(docs[0].Paths, []string{"a/x.txt", "b/y.txt"}) {
		t.Errorf("the trash: %+v", docs)
	}
	w.sync()
	w.reopen()
	w.write("b/y.txt", "Otro texto.")
	d, err := w.Restore(t.Context(), id)
	if err != nil || d.ID != id || d.Status != Queued {
		t.Fatalf("Restore: %+v %v", d, err)
	}
	w.sync()
	w.want(map[string]string{"a/x.txt": "ready", "b/y (2).txt": "ready", "b/y.txt": "ready"})
	w.finds("Tabarca", "a/x.txt", "b/y (2).txt")
	if _, err := os.Stat(filepath.Join(w.data, "trash", id)); err == nil {
		t.Error("the trash keeps what was restored")
	}
	w.verified()
	if err := w.Remove(t.Context(), "nosuch"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Remove of what is not there: %v", err)
	}
}

// TestTrashTwice restores what was removed last, not what was removed before that.
func TestTrashTwice(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"antes.txt", "después.txt"} {
		w.write(name, "El faro de Tabarca.")
		w.sync()
		if err := w.Remove(t.Context(), w.doc(name).ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Restore(t.Context(), idOf("El faro de Tabarca.")); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.want(map[string]string{"después.txt": "ready"})
	w.verified()
}

// TestRestoredAndGone keeps in the trash what something takes from the folder before it is a document again.
func TestRestoredAndGone(t *testing.T) {
	w := newWorld(t)
	w.write("a.txt", "El faro de Tabarca.")
	w.sync()
	id := w.doc("a.txt").ID
	if err := w.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.change.Lock()
	ended := make(chan error, 1)
	go func() {
		_, err := w.Restore(t.Context(), id)
		ended <- err
	}()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		left, _ := filepath.Glob(filepath.Join(w.docs, staged+"*"))
		if _, err := os.Stat(filepath.Join(w.docs, "a.txt")); err == nil && len(left) == 0 {
			break
		}
	}
	time.Sleep(quiet) // it has looked at what it wrote
	w.unlink("a.txt")
	w.change.Unlock()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if d, err := w.Restore(t.Context(), id); err != nil || d.Status != Queued {
		t.Errorf("the second time: %+v %v", d, err)
	}
	w.sync()
	w.finds("Tabarca", "a.txt")
}

// TestTrashOfALink moves nothing that lies outside the folder.
func TestTrashOfALink(t *testing.T) {
	const name = "caf\xe9.txt" // not UTF-8: it is never read, and known by its path alone
	w := newWorld(t)
	outside := t.TempDir()
	w.write("sub/otra.txt", "Otra.")
	for _, dir := range []string{outside, filepath.Join(w.docs, "sub")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("Un café."), 0o644); err != nil {
			t.Skip("the file system refuses the name")
		}
	}
	w.sync()
	id := w.doc("sub/" + name).ID
	if err := os.RemoveAll(filepath.Join(w.docs, "sub")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(w.docs, "sub")); err != nil {
		t.Skip("no links here")
	}
	if err := w.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(outside, name)); err != nil {
		t.Errorf("a file outside the folder was taken away: %v", err)
	}
}

func TestAdd(t *testing.T) {
	w := newWorld(t)
	add := func(collection, name, text string) (Document, error) {
		return w.Add(t.Context(), collection, name, strings.NewReader(text))
	}
	d, err := add("islas", "nota.txt", "El faro de Tabarca.")
	if err != nil || d.Status != Queued || !slices.Equal(d.Paths, []string{"islas/nota.txt"}) {
		t.Fatalf("Add: %+v %v", d, err)
	}
	w.sync()
	again, err := add("islas", "nota.txt", "El faro de Tabarca.")
	if err != nil || again.Status != Ready || again.ID != d.ID {
		t.Errorf("the same again: %+v %v", again, err)
	}
	if other, err := add("islas", "nota.txt", "Otra nota."); err != nil || !slices.Equal(other.Paths, []string{"islas/nota (2).txt"}) {
		t.Errorf("the same name: %+v %v", other, err)
	}
	w.sync()
	w.want(map[string]string{"islas/nota.txt": "ready", "islas/nota (2).txt": "ready"})
	for _, bad := range [][2]string{{"", "../x.txt"}, {"..", "x.txt"}, {"a/b", "x"}, {"", ".hidden"}, {"", ""}, {"", "~$x.docx"}, {"", "a\x00b"}, {".x", "y"}, {"", "x.tmp"}} {
		if _, err := add(bad[0], bad[1], "fuga"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	w.Corpus.cfg.Data = filepath.Join(w.docs, "datos")
	if _, err := add("datos", "x.txt", "Donde nadie busca."); err == nil {
		t.Error("a file was added to the data directory, where it is never found")
	}
	if entries, _ := os.ReadDir(w.docs); len(entries) != 1 {
		t.Errorf("the folder holds %v", entries)
	}
	w.verified()
}

func TestFailuresAreRows(t *testing.T) {
	w := newWorld(t)
	w.write("empty.txt", "")
	w.write("locked.pdf", "FAIL encrypted")
	w.write("broken.pdf", "BROKEN")
	w.write("scan.pdf", "SCAN The first page has words.")
	w.write("images.pdf", "IMAGES")
	w.write("good.txt", "Words.")
	w.write("blank.txt", "  \n ")
	s := w.sync()
	if s.Indexed != 2 || len(s.Failed) != 5 {
		t.Errorf("%+v", s)
	}
	w.want(map[string]string{
		"empty.txt": "failed empty", "locked.pdf": "failed encrypted", "broken.pdf": "failed not_readable", "good.txt": "ready",
		"scan.pdf": "partial needs_ocr", "images.pdf": "failed needs_ocr", "blank.txt": "failed empty",
	})
	d := w.doc("scan.pdf")
	if !slices.Equal(d.PagesFailed, []int{2, 3, 5}) || !strings.Contains(d.Error.Message, "2-3, 5") || !strings.Contains(d.Error.In("es"), "2-3, 5") {
		t.Errorf("scan: %+v %q", d, d.Error.In("es"))
	}
	if p := w.doc("broken.pdf").Error; p.RetryAt == nil || time.Until(*p.RetryAt) > time.Minute {
		t.Errorf("a lack of the machine is not tried again: %+v", p)
	}
	if p := w.doc("locked.pdf").Error; p.RetryAt != nil {
		t.Errorf("a fault of the file is tried again: %+v", p)
	}
	w.verified()
	if d, err := w.Retry(t.Context(), w.doc("locked.pdf").ID); err != nil || d.Status != Queued {
		t.Errorf("Retry: %+v %v", d, err)
	}
	w.sync()
	if n := w.reader.count("locked.pdf"); n != 2 {
		t.Errorf("the file was read %d times", n)
	}
	w.write("locked.pdf", "Now without a password.")
	w.sync()
	w.finds("password", "locked.pdf")
	w.verified()
}

func TestOpenAndPages(t *testing.T) {
	w := newWorld(t)
	w.write("scan.pdf", "SCAN The first page has words.")
	w.write("a.txt", "Words.")
	w.sync()
	id := w.doc("scan.pdf").ID
	f, d, err := w.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.ReadFrom(f)
	f.Close()
	if b.String() != "SCAN The first page has words." || d.ID != id {
		t.Errorf("Open: %q %+v", b.String(), d)
	}
	for range 2 {
		if image, err := w.Page(t.Context(), id, 3); err != nil || string(image) != "png scan.pdf 3" {
			t.Errorf("Page: %q %v", image, err)
		}
	}
	if n := w.reader.count("scan.pdf#3"); n != 1 {
		t.Errorf("the page was drawn %d times", n)
	}
	for _, n := range []int{0, 8} {
		if _, err := w.Page(t.Context(), id, n); !errors.Is(err, ErrNoPage) {
			t.Errorf("page %d: %v", n, err)
		}
	}
	if _, err := w.Page(t.Context(), w.doc("a.txt").ID, 1); !errors.Is(err, ErrNoPage) {
		t.Errorf("a page of a text: %v", err)
	}
	w.write("scan.pdf", "Another content.")
	if _, _, err := w.Open(id); !errors.Is(err, ErrNotFound) {
		t.Errorf("Open of what has changed: %v", err)
	}
}

// TestPageCache keeps its limit also when each process draws few pages.
func TestPageCache(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		p := &pageCache{dir: dir, ext: ".png", limit: 25}
		if err := p.write("id", i, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "id")); err != nil || len(left) > 2 {
		t.Errorf("%d images of 10 bytes are kept, error %v", len(left), err)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	want := map[string]string{}
	for i := range 25 {
		name := path.Join([]string{"", "álbum", "zoo"}[i%3], fmt.Sprintf("n%02d.txt", i))
		w.write(name, fmt.Sprintf("Texto número %d.", i))
		want[name] = "ready"
	}
	w.write("zoo/Cigüeña.txt", "FAIL corrupt")
	w.sync()
	var got []string
	f := Filter{Limit: 7, Status: "ready"}
	for {
		docs, next, err := w.List(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			got = append(got, d.Paths...)
		}
		if next == "" {
			break
		}
		f.After = next
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		f    Filter
		want int
	}{{Filter{Collection: "zoo"}, 9}, {Filter{Text: "CIGUEÑA"}, 1}, {Filter{Text: "album/n0"}, 3}, {Filter{Status: "failed"}, 1}, {Filter{Status: "queued"}, 0}, {Filter{Status: "removed"}, 0}} {
		docs, next, err := w.List(c.f)
		if err != nil || len(docs) != c.want || next != "" {
			t.Errorf("%+v: %d documents, want %d; %q %v", c.f, len(docs), c.want, next, err)
		}
	}
	if _, _, err := w.List(Filter{After: "!"}); err == nil {
		t.Error("a cursor that is none is taken")
	}
	counts := []CollectionCount{{"", 9, 9}, {"zoo", 9, 8}, {"álbum", 8, 8}}
	if diff := cmp.Diff(counts, w.Collections()); diff != "" {
		t.Errorf("collections (-want +got):\n%s", diff)
	}
}
