package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// A stenographer writes down what its script says, ten seconds at a time.
type stenographer struct {
	totalS  float64
	said    []parse.Segment
	unread  [][2]float64
	fail    map[float64]error // what happens after so many seconds
	waits   map[float64]chan struct{}
	reached chan float64 // is told each second it waits at

	mu    sync.Mutex
	calls []string // "<base name> <from>"
	busy  int
}

const windowS = 10.0

func (s *stenographer) Transcribe(ctx context.Context, path string, fromS float64, report func(parse.Transcript, float64, float64)) (parse.Transcript, error) {
	s.mu.Lock()
	s.calls = append(s.calls, fmt.Sprintf("%s %g", filepath.Base(path), fromS))
	s.busy++
	busy := s.busy
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.busy--; s.mu.Unlock() }()
	if busy > 1 || !filepath.IsAbs(path) {
		return parse.Transcript{}, fmt.Errorf("%d at once, of %s", busy, path)
	}
	heard := parse.Transcript{DurationS: s.totalS, Language: "es", Engine: "stenographer"}
	for at := fromS; at < s.totalS; {
		if err := s.fail[at]; err != nil {
			return heard, err
		}
		if wait := s.waits[at]; wait != nil {
			s.reached <- at
			select {
			case <-wait:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return heard, ctx.Err()
		}
		end := min(at+windowS, s.totalS)
		for _, x := range s.said {
			if x.StartS >= at && x.StartS < end {
				heard.Segments = append(heard.Segments, x)
			}
		}
		heard.Unread = append(heard.Unread, clipped(s.unread, at, end)...)
		at = end
		report(heard, at, s.totalS)
	}
	return heard, nil
}

func (s *stenographer) called(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.calls, want) {
		t.Errorf("it heard %q, want %q", s.calls, want)
	}
}

// A talk of half a minute.
var said = []parse.Segment{
	{StartS: 1, EndS: 4, Text: "La reunión empieza con la noria."},
	{StartS: 12, EndS: 15, Text: "Después se habló del tranvía."},
	{StartS: 25.5, EndS: 28.25, Text: "Por último, del molino."},
}

func talking() *stenographer {
	return &stenographer{totalS: 30, said: said, waits: map[float64]chan struct{}{}, reached: make(chan float64)}
}

func newSpeechWorld(t *testing.T, s *stenographer) *world {
	w := newWorld(t)
	w.cfg.Speech = s
	w.reopen()
	return w
}

func (w *world) located(name string) (all []retrieval.Location) {
	w.t.Helper()
	found, err := w.index.Chunks(w.t.Context(), w.doc(name).ID, 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, x := range found {
		all = append(all, x.Location)
	}
	return all
}

func TestRecording(t *testing.T) {
	s := talking()
	w := newSpeechWorld(t, s)
	w.write("actas/reunion.mp3", "SOUND")
	w.sync()
	w.want(map[string]string{"actas/reunion.mp3": "ready"})
	w.finds("tranvía", "actas/reunion.mp3")
	d := w.doc("actas/reunion.mp3")
	if d.DurationS != 30 || d.Language != "es" || d.MIME != "audio/mpeg" || d.Chunks != 1 || len(d.Warnings) > 0 {
		t.Errorf("%+v", d)
	}
	if diff := cmp.Diff([]retrieval.Location{{Kind: "time", StartS: 1, EndS: 28.25, Recognition: retrieval.Recognition{Engine: "stenographer"}}}, w.located("actas/reunion.mp3")); diff != "" {
		t.Error(diff)
	}
	w.reopen()
	w.sync()
	w.want(map[string]string{"actas/reunion.mp3": "ready"})
	w.verified()
	s.called(t, "reunion.mp3 0")
}

func TestRecordingWithoutEngine(t *testing.T) {
	w := newWorld(t)
	w.write("a.mp3", "SOUND")
	w.sync()
	w.want(map[string]string{"a.mp3": "failed engine_missing"})
	if d := w.doc("a.mp3"); d.MIME != "audio/mpeg" || d.Error.RetryAt != nil {
		t.Errorf("%+v", d)
	}
	w.cfg.Speech = talking()
	w.reopen()
	w.sync()
	w.want(map[string]string{"a.mp3": "ready"})
}

// TestFoundWhileHeard finds what has been said so far. What is stopped goes on where it was.
func TestFoundWhileHeard(t *testing.T) {
	s := talking()
	s.waits[20] = make(chan struct{})
	w := newSpeechWorld(t, s)
	stop := w.run()
	w.write("a.mp3", "SOUND")
	if at := <-s.reached; at != 20 {
		t.Fatalf("it waits at %g", at)
	}
	w.finds("noria tranvía", "a.mp3")
	w.finds("molino")
	d := w.doc("a.mp3")
	if d.Status != Working || d.Stage != "speech" || d.Progress == nil || d.Progress.Done != 20 || d.Progress.Total != 30 || d.Progress.Unit != "s" {
		t.Errorf("%+v %+v", d, d.Progress)
	}
	w.verifiedBut("waits to be read")
	stop()
	w.want(map[string]string{"a.mp3": "queued"})
	w.finds("tranvía", "a.mp3")
	s.waits = nil
	w.reopen()
	w.sync()
	w.want(map[string]string{"a.mp3": "ready"})
	w.finds("noria molino", "a.mp3")
	s.called(t, "a.mp3 0", "a.mp3 20")
	if got := w.located("a.mp3"); len(got) != 1 || got[0].StartS != 1 || got[0].EndS != 28.25 {
		t.Errorf("%+v", got)
	}
	w.verified()
}

// verifiedBut fails unless folder, ledger and index agree but for one thing.
func (w *world) verifiedBut(what string) {
	w.t.Helper()
	problems, err := w.Verify(w.t.Context(), false)
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0], what) {
		w.t.Errorf("Verify: %q %v", problems, err)
	}
}

// TestRetryUnread hears once more what could not be read, and nothing else.
func TestRetryUnread(t *testing.T) {
	s := talking()
	s.said, s.unread = []parse.Segment{said[0], said[2]}, [][2]float64{{10, 20}}
	w := newSpeechWorld(t, s)
	w.write("a.mp3", "SOUND")
	w.sync()
	w.want(map[string]string{"a.mp3": "partial corrupt"})
	w.finds("molino", "a.mp3")
	d := w.doc("a.mp3")
	for lang, want := range map[string]string{"es": "no se han podido leer: 00:10–00:20.", "en": "could not be read: 00:10–00:20."} {
		if got := d.Error.In(lang); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", lang, got, want)
		}
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "00:10–00:20") {
		t.Errorf("%q", d.Warnings)
	}
	s.said, s.unread = said, nil
	w.retry("a.mp3")
	w.want(map[string]string{"a.mp3": "ready"})
	w.finds("noria tranvía molino", "a.mp3")
	if d := w.doc("a.mp3"); d.Error != nil || len(d.Warnings) > 0 {
		t.Errorf("%+v", d)
	}
	s.called(t, "a.mp3 0", "a.mp3 10")
}

func (w *world) retry(name string) {
	w.t.Helper()
	if _, err := w.Retry(w.t.Context(), w.doc(name).ID); err != nil {
		w.t.Fatal(err)
	}
	w.sync()
}

// TestTruncated: a file that ends early is read as far as it goes, once more when asked.
func TestTruncated(t *testing.T) {
	s := talking()
	s.unread = [][2]float64{{16.5, 30}}
	s.said = said[:2]
	w := newSpeechWorld(t, s)
	w.write("a.mp3", "SOUND")
	w.sync()
	w.want(map[string]string{"a.mp3": "partial corrupt"})
	if got := w.doc("a.mp3").Error.Message; !strings.Contains(got, "00:16–00:30") {
		t.Error(got)
	}
	w.retry("a.mp3")
	w.want(map[string]string{"a.mp3": "partial corrupt"})
	w.finds("noria", "a.mp3")
	s.called(t, "a.mp3 0", "a.mp3 16.5")
}

func TestRecordingFails(t *testing.T) {
	for name, c := range map[string]struct {
		after float64
		err   error
		want  string
	}{
		"broken from the start":    {0, parse.Errorf(parse.Corrupt, "no sound"), "failed corrupt"},
		"broken later":             {20, parse.Errorf(parse.Corrupt, "torn"), "partial corrupt"},
		"kills its reader":         {10, parse.Errorf(parse.Crashed, "twice"), "partial corrupt"},
		"no sound in it":           {0, parse.Errorf(parse.Empty, "it has no sound"), "failed empty"},
		"the engine is gone":       {10, parse.Errorf(parse.EngineMissing, "no engine"), "partial engine_missing"},
		"the engine does not work": {10, errors.New("exit status 1"), "partial engine_missing"},
		"it does not start":        {0, errors.New("exit status 1"), "failed engine_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := talking()
			s.fail = map[float64]error{c.after: c.err}
			w := newSpeechWorld(t, s)
			w.write("a.mp3", "SOUND")
			w.sync()
			w.want(map[string]string{"a.mp3": c.want})
			w.verified()
			d := w.doc("a.mp3")
			if again := strings.HasSuffix(c.want, "engine_missing"); again != (d.Error.RetryAt != nil) {
				t.Errorf("tried again at %v", d.Error.RetryAt)
			}
			if message := d.Error.In("es"); strings.HasPrefix(c.want, "partial") && !strings.Contains(message, Clock(c.after)+"–00:30") {
				t.Error(message)
			}
			s.fail = nil
			w.retry("a.mp3")
			w.want(map[string]string{"a.mp3": "ready"})
			w.finds("noria molino", "a.mp3")
			s.called(t, "a.mp3 0", fmt.Sprintf("a.mp3 %g", c.after))
		})
	}
}

// TestSilence: a recording in which nobody speaks is ready, and says so.
func TestSilence(t *testing.T) {
	s := talking()
	s.said = nil
	w := newSpeechWorld(t, s)
	w.write("a.mp3", "SOUND")
	w.sync()
	for range 2 {
		w.want(map[string]string{"a.mp3": "ready"})
		if d := w.doc("a.mp3"); d.Chunks != 0 || d.DurationS != 30 || len(d.Warnings) != 1 {
			t.Errorf("%+v", d)
		}
		w.verified()
		w.reopen()
		w.sync()
	}
	s.called(t, "a.mp3 0")
}

// TestRecordingGoes takes the file away, or changes it, while it is heard.
func TestRecordingGoes(t *testing.T) {
	for name, c := range map[string]struct {
		act   func(w *world)
		want  map[string]string
		calls []string
	}{
		"removed": {func(w *world) {
			if err := w.Remove(w.t.Context(), w.doc("a.mp3").ID); err != nil {
				w.t.Fatal(err)
			}
		}, map[string]string{}, []string{"a.mp3 0"}},
		"renamed":   {func(w *world) { w.rename("a.mp3", "b.mp3") }, map[string]string{"b.mp3": "ready"}, []string{"a.mp3 0", "b.mp3 20"}},
		"rewritten": {func(w *world) { w.write("a.mp3", "SOUND, another") }, map[string]string{"a.mp3": "ready"}, []string{"a.mp3 0", "a.mp3 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := talking()
			s.waits[10] = make(chan struct{})
			w := newSpeechWorld(t, s)
			w.run()
			w.write("a.mp3", "SOUND")
			<-s.reached
			c.act(w)
			close(s.waits[10])
			go func() { // it may come by again
				for {
					select {
					case <-s.reached:
					case <-t.Context().Done():
						return
					}
				}
			}()
			w.eventually(c.want)
			w.settled()
			s.called(t, c.calls...)
			if len(c.want) == 0 {
				w.finds("noria")
			}
			w.verified()
		})
	}
}

// settled waits until nobody works.
func (w *world) settled() {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if idle, _ := w.queue.idle(); idle {
			return
		}
		if time.Now().After(end) {
			w.t.Fatal("it works and works")
		}
	}
}

// TestRecordingsInTurn: recordings are heard one at a time, and hold up nothing else.
func TestRecordingsInTurn(t *testing.T) {
	s := talking()
	s.waits[10] = make(chan struct{})
	w := newSpeechWorld(t, s)
	want := map[string]string{"t.txt": "ready"}
	for i := range 12 { // more than there are workers
		name := fmt.Sprintf("%d.mp3", i)
		w.write(name, fmt.Sprint("SOUND ", i))
		want[name] = "ready"
	}
	w.run()
	<-s.reached
	w.write("t.txt", "El puente de Alcántara.")
	for end := time.Now().Add(10 * time.Second); w.state()["t.txt"] != "ready"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a text waits for a recording: %v", w.state())
		}
	}
	close(s.waits[10])
	for range 11 {
		<-s.reached
	}
	w.eventually(want)
}

func TestHearingsArePruned(t *testing.T) {
	w := newSpeechWorld(t, talking())
	w.write("a.mp3", "SOUND")
	w.write("b.mp3", "SOUND b")
	w.sync()
	w.unlink("b.mp3")
	w.sync()
	time.Sleep(2 * quiet)
	w.sync()
	w.want(map[string]string{"a.mp3": "ready"})
	w.reopen()
	kept, err := filepath.Glob(filepath.Join(w.data, "cache", "speech", "*"))
	if err != nil || len(kept) != 1 || kept[0] != w.hearingFile(w.doc("a.mp3").ID) {
		t.Errorf("%q %v", kept, err)
	}
}

func TestRealPath(t *testing.T) {
	docs, outside := t.TempDir(), t.TempDir()
	for _, name := range []string{filepath.Join(docs, "a.mp3"), filepath.Join(outside, "b.mp3")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(outside, filepath.Join(docs, "out")), os.Symlink("a.mp3", filepath.Join(docs, "link.mp3"))); err != nil {
		t.Skip(err)
	}
	if got, err := realPath(docs, "a.mp3"); err != nil || filepath.Base(got) != "a.mp3" || !filepath.IsAbs(got) {
		t.Errorf("%s %v", got, err)
	}
	for _, path := range []string{"out/b.mp3", "link.mp3", "gone.mp3", "../" + filepath.Base(outside) + "/b.mp3"} {
		if got, err := realPath(docs, path); err == nil {
			t.Errorf("%s is %s", path, got)
		}
	}
}

// A path that cannot be told is not taken for a link, which would have the file taken anew for ever.
func TestRealPathUntold(t *testing.T) {
	for docs, link := range map[string]bool{t.TempDir() + "\x00": false, t.TempDir(): true} {
		if _, err := realPath(docs, "../a.mp3"); err == nil || errors.Is(err, errLink) != link && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: error %v", docs, err)
		}
	}
}

func TestClock(t *testing.T) {
	for s, want := range map[float64]string{0: "00:00", 9.99: "00:09", 510: "08:30", 3599.9: "59:59", 3600: "1:00:00", 36125: "10:02:05"} {
		if got := Clock(s); got != want {
			t.Errorf("%g is %s, want %s", s, got, want)
		}
	}
	var many [][2]float64
	for i := range 30 {
		many = append(many, [2]float64{float64(i * 60), float64(i*60) + 1.5})
	}
	if got := timeList(many); !strings.HasPrefix(got, "00:00–00:02, 01:00–01:02") || !strings.HasSuffix(got, "19:02…") {
		t.Error(got)
	}
}

// TestHeardOfAnotherContent: what was heard of a file after it was written over is not kept for what it was.
func TestHeardOfAnotherContent(t *testing.T) {
	s := talking()
	s.waits[10] = make(chan struct{})
	w := newSpeechWorld(t, s)
	stop := w.run()
	w.write("a.mp3", "SOUND")
	<-s.reached
	w.write("a.mp3", "SOUND of another talk")
	s.said = []parse.Segment{{StartS: 11, EndS: 14, Text: "Nadie nombró el faro."}}
	close(s.waits[10])
	w.settled()
	stop()
	s.waits, s.said = nil, said
	w.write("a.mp3", "SOUND")
	w.sync()
	w.want(map[string]string{"a.mp3": "ready"})
	w.finds("tranvía", "a.mp3")
	w.finds("faro")
}
