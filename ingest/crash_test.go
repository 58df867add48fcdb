package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
)

// What the test binary is told when it is run as the process to kill.
const (
	childDocs = "ACERVO_TEST_DOCS"
	childData = "ACERVO_TEST_DATA"
	childDie  = "ACERVO_TEST_DIE" // "<state> <nth visit>"
)

const crashQuiet = 15 * time.Millisecond

// child runs the script of [errands] over a folder and kills itself on the way.
// It prints what was acknowledged, and how often each state was visited.
func child() int {
	var mu sync.Mutex
	visits := map[string]int{}
	die, nth, _ := strings.Cut(os.Getenv(childDie), " ")
	n, _ := strconv.Atoi(nth)
	at := func(state string) {
		mu.Lock()
		defer mu.Unlock()
		if visits[state]++; state == die && visits[state] == n {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		}
	}
	err := corpusOver(context.Background(), os.Getenv(childDocs), os.Getenv(childData), at, func(c *Corpus, _ *retrieval.Index) error {
		return errands(context.Background(), c, func(what string) { fmt.Println("ACK", what) })
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	raw, _ := json.Marshal(visits)
	fmt.Println("VISITS", string(raw))
	return 0
}

// corpusOver opens a corpus, hands it to f, and closes it.
func corpusOver(ctx context.Context, docs, data string, at func(string), f func(*Corpus, *retrieval.Index) error) error {
	index, err := retrieval.Open(ctx, retrieval.Config{Dir: data})
	if err != nil {
		return err
	}
	cfg := settings(docs, data, index, &textReader{})
	cfg.Settle, cfg.at, cfg.OCR, cfg.Speech = crashQuiet, at, &fakeOCR{}, talking()
	c, err := Open(ctx, cfg)
	if err != nil {
		return errors.Join(err, index.Close())
	}
	return errors.Join(f(c, index), c.Close(), index.Close())
}

// Contents that the errands name by their ids.
const (
	added    = "Lo que se añade: el tranvía de Porriño."
	removed  = "Lo que se quita: la noria de Alcantarilla."
	restored = "Lo que vuelve: el molino de Mocejón."
)

// errands is what the killed process does. Done again, it does what is left.
func errands(ctx context.Context, c *Corpus, ack func(string)) error {
	if _, err := c.Sync(ctx, nil); err != nil {
		return err
	}
	if _, err := c.Restore(ctx, idOf(restored)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	ack("restored")
	if _, err := c.Add(ctx, "subidas", "nuevo.txt", strings.NewReader(added)); err != nil {
		return fmt.Errorf("add: %w", err)
	}
	ack("added")
	if err := c.Remove(ctx, idOf(removed)); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	ack("removed")
	_, err := c.Sync(ctx, nil)
	return err
}

// kept returns an error if something that was acknowledged is lost.
func kept(ctx context.Context, c *Corpus, acks []string) error {
	if _, err := c.Sync(ctx, nil); err != nil {
		return err
	}
	for _, what := range acks {
		want := map[string]Document{
			"restored": {ID: idOf(restored), Status: Ready, Paths: []string{"molino/m.txt"}},
			"added":    {ID: idOf(added), Status: Ready, Paths: []string{"subidas/nuevo.txt"}},
			"removed":  {ID: idOf(removed), Status: Removed, Paths: []string{"noria.txt"}},
		}[what]
		got, err := c.Get(want.ID)
		if err != nil || got.Status != want.Status || !slices.Equal(got.Paths, want.Paths) {
			return fmt.Errorf("%s was acknowledged, and is %+v, %w", what, got, err)
		}
	}
	return nil
}

// syncOnce is all that an index made at once needs.
func syncOnce(ctx context.Context, c *Corpus, _ func(string)) error {
	_, err := c.Sync(ctx, nil)
	return err
}

func idOf(text string) string { return found{sha256: sha(text)}.id() }

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// A scene is a folder and its data, from which every kill starts.
type scene struct{ docs, data string }

func (s scene) write(t *testing.T, name, text string) {
	t.Helper()
	full := filepath.Join(s.docs, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// newScene indexes some documents, and then renames, edits, copies, deletes and adds.
func newScene(t *testing.T) scene {
	t.Helper()
	s := scene{filepath.Join(t.TempDir(), "docs"), filepath.Join(t.TempDir(), "data")}
	for i := range 4 {
		s.write(t, fmt.Sprintf("serie/n%d.txt", i), fmt.Sprintf("Documento %d de la serie.", i))
	}
	s.write(t, "mudo.txt", "Se muda el archivo de Simancas.")
	s.write(t, "editado.txt", "El texto viejo nombra a Quevedo.")
	s.write(t, "borrado.txt", "Lo borrado nombra a Góngora.")
	s.write(t, "noria.txt", removed)
	s.write(t, "molino/m.txt", restored)
	err := corpusOver(t.Context(), s.docs, s.data, nil, func(c *Corpus, _ *retrieval.Index) error {
		_, err := c.Sync(t.Context(), nil)
		return errors.Join(err, c.Remove(t.Context(), idOf(restored)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.docs, "mudo.txt"), filepath.Join(s.docs, "mudado.txt")); err != nil {
		t.Fatal(err)
	}
	s.write(t, "editado.txt", "El texto nuevo nombra a Lope.")
	s.write(t, "otra/copia.txt", "Documento 2 de la serie.")
	for i := range 8 {
		s.write(t, fmt.Sprintf("reciente/%d.txt", i), fmt.Sprintf("Lo reciente nombra a Zorrilla por vez %d.", i))
	}
	s.write(t, "roto.txt", "FAIL corrupt")
	s.write(t, "escaneado.pdf", mixed)
	s.write(t, "imagen.pdf", "IMAGES")
	s.write(t, "charla.mp3", "SOUND")
	if err := os.Remove(filepath.Join(s.docs, "borrado.txt")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s scene) copy(t *testing.T) scene {
	t.Helper()
	dir := t.TempDir()
	c := scene{filepath.Join(dir, "docs"), filepath.Join(dir, "data")}
	if err := errors.Join(os.CopyFS(c.docs, os.DirFS(s.docs)), os.CopyFS(c.data, os.DirFS(s.data))); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs a child over the scene, which dies where told. It returns whether it
// did, what it acknowledged, and if it lived its visits.
func (s scene) run(t *testing.T, die string) (died bool, acks []string, visits map[string]int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childDocs+"="+s.docs, childData+"="+s.data, childDie+"="+die)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if died = err != nil; died && stderr.Len() > 0 {
		t.Fatalf("the child that was to die at %q failed: %v: %s", die, err, &stderr)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if what, ok := strings.CutPrefix(lines.Text(), "ACK "); ok {
			acks = append(acks, what)
		}
		if raw, ok := strings.CutPrefix(lines.Text(), "VISITS "); ok {
			if err := json.Unmarshal([]byte(raw), &visits); err != nil {
				t.Fatal(err)
			}
		}
	}
	return died, acks, visits
}

// A picture is what must be the same after crashes as in a clean index.
type picture struct {
	Documents map[string]string // path: id, status, chunks
	Sources   []string
	Found     map[string][]string
}

func look(t *testing.T, c *Corpus, index *retrieval.Index) picture {
	t.Helper()
	p := picture{Documents: map[string]string{}, Found: map[string][]string{}}
	docs, _, err := c.List(Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		for _, path := range d.Paths {
			p.Documents[path] = fmt.Sprintf("%s %s %d %d", d.ID, d.Status, d.Chunks, len(d.Paths))
		}
	}
	for _, s := range index.Sources() {
		p.Sources = append(p.Sources, fmt.Sprintf("%s %q %q", s.ID, s.Title, s.Paths))
	}
	slices.Sort(p.Sources)
	for _, q := range []string{"Quevedo", "Lope", "Góngora", "Simancas", "Zorrilla", "Porriño", "noria", "Mocejón", "documento serie", "propias", "tranvía", "último", "hoja1", "hoja5"} {
		res, err := index.Search(t.Context(), retrieval.Query{Text: q, Mode: retrieval.Lexical, K: 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range res.Hits {
			p.Found[q] = append(p.Found[q], h.Chunk.ID+" "+h.Source.Path())
		}
		slices.Sort(p.Found[q])
	}
	return p
}

// points chooses about n visits, of all states, evenly.
func points(visits map[string]int, n int) []string {
	var all []string
	for _, state := range slices.Sorted(maps.Keys(visits)) {
		for i := range visits[state] {
			all = append(all, fmt.Sprintf("%s %d", state, i+1))
		}
	}
	if len(all) <= n {
		return all
	}
	seen, some := map[string]bool{}, []string{}
	for i, p := range all {
		state, _, _ := strings.Cut(p, " ")
		if !seen[state] || i*n/len(all) != (i-1)*n/len(all) {
			some = append(some, p)
		}
		seen[state] = true
	}
	return some
}

// TestKill kills the process at every state that work passes through, twice in
// a row at different ones, and lets it finish: the index then equals a clean
// one, and nothing that was acknowledged is lost.
func TestKill(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	start := newScene(t)
	clean := start.copy(t)
	died, acks, visits := clean.run(t, "")
	if died || len(acks) != 3 {
		t.Fatalf("a run without a kill: died %v, acknowledged %q", died, acks)
	}
	want := clean.finish(t, errands)
	fresh := scene{clean.docs, t.TempDir()}
	if diff := cmp.Diff(fresh.finish(t, syncOnce), want); diff != "" {
		t.Fatalf("an index with a history differs from one made at once (-fresh +old):\n%s", diff)
	}
	where := points(visits, kills)
	t.Logf("visits: %v", visits)
	var mu sync.Mutex
	done := 0
	t.Run("at", func(t *testing.T) {
		for i := range where {
			first, second := where[i], where[len(where)-1-i]
			t.Run(first+","+second, func(t *testing.T) {
				t.Parallel()
				s := start.copy(t)
				n := 0
				var acks []string
				for _, die := range []string{first, second} {
					died, more, _ := s.run(t, die)
					if acks = append(acks, more...); died {
						n++
					}
				}
				rest := func(ctx context.Context, c *Corpus, ack func(string)) error {
					return errors.Join(kept(ctx, c, acks), errands(ctx, c, ack))
				}
				if diff := cmp.Diff(want, s.finish(t, rest)); diff != "" {
					t.Errorf("differs from a clean index (-clean +crashed):\n%s", diff)
				}
				mu.Lock()
				done += n
				mu.Unlock()
			})
		}
	})
	t.Logf("%d kills at %d states", done, len(visits))
	if done < kills {
		t.Errorf("only %d kills", done)
	}
}

// TestKillInAScan kills the process in the middle of a scan of 300 pages: none
// that was kept is read again, and at most the one in hand is.
func TestKillInAScan(t *testing.T) {
	start := newScene(t)
	start.write(t, "largo.pdf", "PAGES 300")
	const all = 300 + 3 + 2 // with those of the scene
	for die, want := range map[string]int{"recognised 150": all - 150, "keeping 150": all - 149} {
		t.Run(die, func(t *testing.T) {
			t.Parallel()
			s := start.copy(t)
			if died, _, _ := s.run(t, die); !died {
				t.Fatal("it lives")
			}
			if _, _, visits := s.run(t, ""); visits["recognised"] != want {
				t.Errorf("%d pages were read after the kill, want %d", visits["recognised"], want)
			}
		})
	}
}

// TestPageThatEndsTheProgram kills the process over the same page until that is put aside: the others are read, and who retries
// the document has that page read, and no other.
func TestPageThatEndsTheProgram(t *testing.T) {
	s := scene{t.TempDir(), t.TempDir()}
	s.write(t, "largo.pdf", "PAGES 10")
	for i, die := range []string{"recognising 4", "recognising 1", "recognising 1"} {
		if died, _, _ := s.run(t, die); !died {
			t.Fatalf("run %d did not come to the page", i)
		}
	}
	s.partialThenReady(t, idOf("PAGES 10"), func(p *Problem) bool {
		return slices.Equal(p.Pages, []int{4}) && strings.Contains(p.Detail, "the program ended while it was read, 3 times")
	})
}

// TestWindowThatEndsTheProgram does the same over a window of a recording.
func TestWindowThatEndsTheProgram(t *testing.T) {
	s := scene{t.TempDir(), t.TempDir()}
	s.write(t, "reunion.mp3", "SOUND")
	for i, die := range []string{"heard 1", "hearing 1", "hearing 1"} { // with the second window in hand
		if died, _, _ := s.run(t, die); !died {
			t.Fatalf("run %d did not come to the window", i)
		}
	}
	s.partialThenReady(t, idOf("SOUND"), func(p *Problem) bool {
		return slices.Equal(p.Seconds, [][2]float64{{windowS, 30}})
	})
}

// partialThenReady holds that a document is partial, with the problem that is wanted, and ready once it is retried.
func (s scene) partialThenReady(t *testing.T, id string, wanted func(*Problem) bool) {
	t.Helper()
	err := corpusOver(t.Context(), s.docs, s.data, nil, func(c *Corpus, _ *retrieval.Index) error {
		if err := syncOnce(t.Context(), c, func(string) {}); err != nil {
			return err
		}
		d, err := c.Get(id)
		if err != nil || d.Status != Partial || !wanted(d.Error) {
			t.Errorf("%+v, %+v, %v", d, d.Error, err)
		}
		if _, err := c.Retry(t.Context(), id); err != nil {
			return err
		}
		if err := syncOnce(t.Context(), c, func(string) {}); err != nil {
			return err
		}
		if d, err = c.Get(id); err != nil || d.Status != Ready {
			t.Errorf("retried: %+v, %v", d, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// finish runs the rest of the errands and returns what came of them.
func (s scene) finish(t *testing.T, rest func(context.Context, *Corpus, func(string)) error) (p picture) {
	t.Helper()
	err := corpusOver(t.Context(), s.docs, s.data, nil, func(c *Corpus, index *retrieval.Index) error {
		if err := rest(t.Context(), c, func(string) {}); err != nil {
			return err
		}
		problems, err := c.Verify(t.Context(), false)
		if len(problems) > 0 {
			t.Errorf("Verify: %q", problems)
		}
		p = look(t, c, index)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.docs, staged+"*")); len(left) > 0 {
		t.Errorf("half-written files are left: %q", left)
	}
	return p
}
