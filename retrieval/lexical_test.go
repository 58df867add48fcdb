package retrieval_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/retrievaltest"
)

// change opens the index in dir, does something to it and closes it.
func change(t *testing.T, dir string, do func(*retrieval.Index)) (log string) {
	t.Helper()
	var out bytes.Buffer
	x, err := retrieval.Open(t.Context(), retrieval.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	do(x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The word index is derived: whatever state it is left in, opening brings it level with index.db.
func TestWordIndexIsBroughtLevel(t *testing.T) {
	old, now := t.TempDir(), t.TempDir()
	change(t, now, func(x *retrieval.Index) {
		replace(t, x, source("a", "a.txt", "es"), "El faro mide treinta metros.", "El puente mide cien.")
		replace(t, x, source("b", "b.txt", "es"), "La torre mide doce.")
	})
	if err := os.CopyFS(old, os.DirFS(now)); err != nil {
		t.Fatal(err)
	}
	// One session's changes are on record until the next one's first: this is what a kill before the word index saw them leaves.
	change(t, now, func(x *retrieval.Index) {
		replace(t, x, source("a", "a.txt", "es"), "El faro mide cuarenta metros.")
		if err := x.Delete(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		replace(t, x, source("c", "c.txt", "es"), "El muelle mide noventa.")
	})
	tests := []struct {
		name    string
		index   string // whose index.db
		damage  func(t *testing.T, lexical string)
		rebuilt bool
		want    string
	}{
		{"whole", now, func(*testing.T, string) {}, false, "a c"},
		{"behind", now, func(t *testing.T, l string) { swap(t, l, filepath.Join(old, "lexical")) }, true, "a c"},
		{"ahead of an index.db that was restored", old, func(t *testing.T, l string) { swap(t, l, filepath.Join(now, "lexical")) }, true, "a b"},
		{"missing", now, func(t *testing.T, l string) { swap(t, l, "") }, true, "a c"},
		{"broken", now, func(t *testing.T, l string) {
			if err := os.WriteFile(filepath.Join(l, "index_meta.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, true, "a c"},
		{"another's", now, func(t *testing.T, l string) {
			other := t.TempDir()
			change(t, other, func(x *retrieval.Index) {
				for i := range 5 {
					replace(t, x, source(fmt.Sprint(i), "x.txt", "es"), "Otro texto que mide.")
				}
			})
			swap(t, l, filepath.Join(other, "lexical"))
		}, true, "a c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(tt.index)); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, filepath.Join(dir, "lexical"))
			log := change(t, dir, func(x *retrieval.Index) {
				sound(t, x)
				var got []string
				for _, id := range found(t, x, retrieval.Query{Text: "mide"}) {
					got = append(got, strings.TrimSuffix(strings.TrimSuffix(id, ".0"), ".1"))
				}
				slices.Sort(got)
				if got := strings.Join(slices.Compact(got), " "); got != tt.want {
					t.Errorf("found %s, not %s", got, tt.want)
				}
			})
			if rebuilt := strings.Contains(log, "made anew"); rebuilt != tt.rebuilt {
				t.Errorf("made anew: %v, not %v", rebuilt, tt.rebuilt)
			}
		})
	}
}

func swap(t *testing.T, dir, with string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if with == "" {
		return
	}
	if err := os.CopyFS(dir, os.DirFS(with)); err != nil {
		t.Fatal(err)
	}
}

// A change that index.db has and the word index has not is applied at the next start, without making it anew.
func TestInterruptedBeforeTheWordIndex(t *testing.T) {
	dir, before := t.TempDir(), t.TempDir()
	change(t, dir, func(x *retrieval.Index) {
		replace(t, x, source("a", "a.txt", "es"), "El faro mide treinta metros.", "El puente mide cien.")
	})
	if err := os.CopyFS(before, os.DirFS(filepath.Join(dir, "lexical"))); err != nil {
		t.Fatal(err)
	}
	change(t, dir, func(x *retrieval.Index) {
		replace(t, x, source("a", "a.txt", "es"), "El faro mide cuarenta metros.")
	})
	swap(t, filepath.Join(dir, "lexical"), before)
	log := change(t, dir, func(x *retrieval.Index) {
		sound(t, x)
		if got := found(t, x, retrieval.Query{Text: "puente treinta"}); len(got) > 0 {
			t.Errorf("what was replaced is found: %v", got)
		}
		if got := found(t, x, retrieval.Query{Text: "cuarenta"}); !slices.Equal(got, []string{"a.0"}) {
			t.Errorf("what replaced it: %v", got)
		}
	})
	if strings.Contains(log, "made anew") {
		t.Error("the word index was made anew")
	}
}

func TestRepair(t *testing.T) {
	x := open(t, retrieval.Config{})
	corpus(t, x)
	if err := x.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	sound(t, x)
	replace(t, x, source("later", "later.txt", "es"), "Un texto posterior al arreglo.")
	if got := found(t, x, retrieval.Query{Text: "arreglo"}); !slices.Equal(got, []string{"later.0"}) {
		t.Errorf("after repair: %v", got)
	}
	sound(t, x)
}

func TestSecondOpener(t *testing.T) {
	dir := t.TempDir()
	open(t, retrieval.Config{Dir: dir})
	if _, err := retrieval.Open(t.Context(), retrieval.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("a second opener: %v", err)
	}
}

// helperDir tells the test binary to index documents there until it is killed.
const helperDir = "ACERVO_TEST_INDEX"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		indexForever(dir)
	}
	os.Exit(m.Run())
}

// indexForever prints the id of each source with + once Replace has returned
// and, of one in three, with ? before it deletes it and with - once it did.
func indexForever(dir string) {
	x, err := retrieval.Open(context.Background(), retrieval.Config{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("s%dx%dx%d", os.Getpid(), w, i)
				text := retrieval.Chunk{Text: "La ficha " + id + " describe un faro."}
				if err := x.Replace(context.Background(), source(id, id+".txt", "es"), []retrieval.Chunk{text, text}); err != nil {
					return
				}
				fmt.Println("+" + id)
				if i%3 == 2 {
					fmt.Println("?" + id)
					if x.Delete(context.Background(), id) == nil {
						fmt.Println("-" + id)
					}
				}
			}
		})
	}
	wg.Wait()
	os.Exit(1)
}

// What Replace returned for survives kill -9, and so does what Delete returned for.
func TestKill(t *testing.T) {
	dir, last := t.TempDir(), map[string]byte{}
	for range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), helperDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(150+rand.IntN(250))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			last[lines.Text()[1:]] = lines.Text()[0]
		}
		kill.Stop()
		_ = cmd.Wait() // killed
		change(t, dir, func(x *retrieval.Index) {
			sound(t, x)
			for id, what := range last {
				got := found(t, x, retrieval.Query{Text: id})
				if in := slices.Contains(got, id+".0"); what == '+' && !in || what == '-' && in {
					t.Errorf("%c%s was acknowledged, and it finds %v", what, id, got)
				}
			}
		})
	}
	if len(last) < 10 {
		t.Errorf("only %d sources were indexed: the test says little", len(last))
	}
}

func TestAtTheSameTime(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	x := open(t, withVectors("", e))
	run(t, x)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range 25 {
				id := fmt.Sprint("s", rng.IntN(12))
				var err error
				switch rng.IntN(4) {
				case 0:
					err = x.Delete(t.Context(), id)
				case 1:
					_, err = x.Search(t.Context(), retrieval.Query{Text: "faro número " + fmt.Sprint(i)})
				default:
					texts := make([]retrieval.Chunk, rng.IntN(5))
					for n := range texts {
						texts[n].Text = fmt.Sprint("El faro número ", rng.IntN(20), " mide mucho.")
					}
					err = x.Replace(t.Context(), source(id, id+".txt", "es"), texts)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	replace(t, x, source("last", "last.txt", "es"), "El faro último.")
	soon(t, "all have vectors", whole(x))
	sound(t, x)
}
