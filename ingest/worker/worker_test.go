package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// playing names the environment variable that makes this test binary a child.
const playing = "ACERVO_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(playing) {
	case "":
		os.Exit(m.Run())
	case "serve":
		if err := Serve(context.Background(), ServeConfig{CacheDir: os.Getenv("ACERVO_TEST_CACHE")}, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		play()
	}
}

// play is a child that does what the name of the requested file says.
func play() {
	send := func(v any) { _ = writeLine(os.Stdout, v) }
	send(answer{Ready: true})
	decoder := json.NewDecoder(os.Stdin)
	for {
		var req request
		if decoder.Decode(&req) != nil {
			return
		}
		act(req, send)
	}
}

func act(req request, send func(any)) {
	text := fmt.Sprintf("read by %d", os.Getpid())
	content := pack(parse.Content{MIME: "text/plain", Text: text, Blocks: []parse.Block{{End: len(text), Kind: parse.Paragraph}}})
	switch req.Path {
	case "hang":
		time.Sleep(time.Hour) // an empty select is a deadlock to a program without cgo
	case "die":
		fmt.Fprintln(os.Stderr, "fatal error: played")
		os.Exit(2)
	case "die once":
		if mark, err := os.OpenFile(filepath.Join(req.Root, "died"), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			mark.Close()
			os.Exit(2)
		}
	case "slow":
		for i := range 6 {
			time.Sleep(100 * time.Millisecond)
			send(answer{ID: req.ID, Progress: &progress{Done: i + 1, Total: 6, Unit: "page"}})
		}
	case "waits":
		for range 6 {
			time.Sleep(100 * time.Millisecond)
			send(answer{ID: req.ID, Waiting: true})
		}
	case "endless":
		for i := 0; ; i++ {
			time.Sleep(10 * time.Millisecond)
			send(answer{ID: req.ID, Progress: &progress{Done: i, Unit: "page"}})
		}
	case "eat":
		var kept [][]byte
		for {
			kept = append(kept, bytes.Repeat([]byte{byte(len(kept))}, 8<<20))
			time.Sleep(time.Millisecond)
		}
	case "garbage":
		fmt.Println("<html>")
		time.Sleep(time.Hour) // an empty select is a deadlock to a program without cgo
	case "stranger":
		send(answer{ID: req.ID + 1, Content: content})
		time.Sleep(time.Hour) // an empty select is a deadlock to a program without cgo
	case "liar":
		content.Blocks[0].End = 1 << 30
	case "standby die":
		send(answer{ID: req.ID, Standby: parse.Errorf(parse.Corrupt, "played")})
		os.Exit(2)
	case "standby hang":
		send(answer{ID: req.ID, Standby: parse.Errorf(parse.Corrupt, "played")})
		time.Sleep(time.Hour) // an empty select is a deadlock to a program without cgo
	case "locked":
		send(answer{ID: req.ID, Error: parse.Errorf(parse.Encrypted, "played")})
		return
	}
	if req.Op != opParse {
		send(answer{ID: req.ID, PNG: []byte("\x89PNG\r\n\x1a\n")})
		return
	}
	send(answer{ID: req.ID, Content: content})
}

// newPool returns a pool of this test binary, with short limits; set changes them.
func newPool(t *testing.T, role string, set func(*Config)) *Pool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Command: []string{self}, Env: []string{playing + "=" + role}, Size: 1,
		Start: 20 * time.Second, Stall: 20 * time.Second,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if set != nil {
		set(&cfg)
	}
	p := New(cfg)
	t.Cleanup(func() { p.Close() })
	return p
}

func ask(t *testing.T, p *Pool, path string) (parse.Content, error) {
	t.Helper()
	return p.Parse(t.Context(), t.TempDir(), path, nil)
}

// pid asks which child answers.
func pid(t *testing.T, p *Pool) (pid int32) {
	t.Helper()
	content, err := ask(t, p, "any")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(content.Text, "read by %d", &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// waitGone fails the test where a process outlives its time.
func waitGone(t *testing.T, pid int32) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if there, err := process.PidExistsWithContext(t.Context(), pid); err == nil && !there {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

func wantCode(t *testing.T, err error, code parse.Code) {
	t.Helper()
	var reason *parse.Error
	if !errors.As(err, &reason) || reason.Code != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

// TestFaults ends every kind of bad child with a reason, and goes on after it.
func TestFaults(t *testing.T) {
	short := func(c *Config) { c.Start, c.Stall = time.Second, 200*time.Millisecond }
	for _, test := range []struct {
		path string
		set  func(*Config)
		code parse.Code
	}{
		{"hang", short, parse.Timeout},
		{"endless", func(c *Config) { c.Limit = 300 * time.Millisecond }, parse.Timeout},
		{"die", nil, parse.Crashed},
		{"garbage", nil, parse.Crashed},
		{"stranger", nil, parse.Crashed},
		{"liar", nil, parse.Crashed},
		{"eat", func(c *Config) { c.MaxRSS = 200 << 20 }, parse.Bomb},
		{"standby die", nil, parse.Corrupt},
		{"standby hang", short, parse.Corrupt},
		{"locked", nil, parse.Encrypted},
	} {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, "play", test.set)
			_, err := ask(t, p, test.path)
			wantCode(t, err, test.code)
			if strings.Contains(fmt.Sprint(err), "fatal") {
				t.Errorf("%v tells the inside", err)
			}
			pid(t, p)
		})
	}
}

func TestCrashOnce(t *testing.T) {
	if _, err := ask(t, newPool(t, "play", nil), "die once"); err != nil {
		t.Errorf("a crash that does not come back: %v", err)
	}
}

// TestProgress keeps a slow child alive that says how far it is.
func TestProgress(t *testing.T) {
	p := newPool(t, "play", func(c *Config) { c.Stall = 400 * time.Millisecond })
	var heard []string
	_, err := p.Parse(t.Context(), t.TempDir(), "slow", func(done, total int, unit string) {
		heard = append(heard, fmt.Sprint(done, "/", total, " ", unit))
	})
	if err != nil || len(heard) != 6 || heard[5] != "6/6 page" {
		t.Errorf("heard %q, error %v", heard, err)
	}
}

// TestWaits keeps a child alive that waits for its engine.
func TestWaits(t *testing.T) {
	p := newPool(t, "play", func(c *Config) { c.Stall = 400 * time.Millisecond })
	if _, err := ask(t, p, "waits"); err != nil {
		t.Error(err)
	}
}

// TestHangAtOnce ends a child that hangs in its first document as soon as another.
func TestHangAtOnce(t *testing.T) {
	p := newPool(t, "play", func(c *Config) { c.Start, c.Stall = time.Minute, 200*time.Millisecond })
	start := time.Now()
	_, err := ask(t, p, "hang")
	wantCode(t, err, parse.Timeout)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestNoDirectory leaves nothing that a kill of both processes could leave.
func TestNoDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory in use stays there")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	p := newPool(t, "play", nil)
	pid(t, p)
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("beside a child there is %v, error %v", left, err)
	}
}

func TestCancel(t *testing.T) {
	p := newPool(t, "play", nil)
	first := pid(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Parse(ctx, t.TempDir(), "hang", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
	waitGone(t, first)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := p.Parse(ctx, t.TempDir(), "any", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

// TestReuse keeps a child for the next call, until it has done its share.
func TestReuse(t *testing.T) {
	p := newPool(t, "play", func(c *Config) { c.MaxCalls = 2 })
	first, second, third := pid(t, p), pid(t, p), pid(t, p)
	if first != second || second == third {
		t.Errorf("children %d, %d, %d: want the first two one", first, second, third)
	}
	waitGone(t, first)
}

func TestIdle(t *testing.T) {
	p := newPool(t, "play", func(c *Config) { c.Idle = 20 * time.Millisecond })
	waitGone(t, pid(t, p))
	pid(t, p)
}

// TestKilled replaces a child that someone else ended.
func TestKilled(t *testing.T) {
	p := newPool(t, "play", nil)
	first := pid(t, p)
	victim, err := os.FindProcess(int(first))
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if next := pid(t, p); next == first {
		t.Errorf("child %d answers after its end", first)
	}
}

// TestPageDoesNotWait draws a page beside a document that takes long.
func TestPageDoesNotWait(t *testing.T) {
	p := newPool(t, "play", nil)
	started := make(chan struct{})
	var once sync.Once
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := p.Parse(ctx, "/", "endless", func(int, int, string) { once.Do(func() { close(started) }) })
		ended <- err
	}()
	<-started
	if png, err := p.Page(t.Context(), "/", "any", 1); err != nil || len(png) == 0 {
		t.Errorf("page of %d bytes, error %v", len(png), err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestSlowLetPass has as many documents hang as are read at a time: a good one is read all the same.
func TestSlowLetPass(t *testing.T) {
	p := newPool(t, "play", func(c *Config) { c.Size, c.Patience, c.Stall = 2, 200*time.Millisecond, 20*time.Second })
	ctx, cancel := context.WithCancel(t.Context())
	var hanging sync.WaitGroup
	for range 2 {
		hanging.Go(func() { _, _ = p.Parse(ctx, t.TempDir(), "hang", nil) })
	}
	time.Sleep(100 * time.Millisecond) // both have their turn
	for range 3 {
		start := time.Now()
		if _, err := ask(t, p, "good"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("a good document waited %s for two that hang", took)
		}
	}
	cancel()
	hanging.Wait()
}

func TestClose(t *testing.T) {
	p := newPool(t, "play", nil)
	ended := make(chan error, 1)
	child := pid(t, p)
	started := make(chan struct{})
	var once sync.Once
	go func() {
		_, err := p.Parse(t.Context(), "/", "endless", func(int, int, string) { once.Do(func() { close(started) }) })
		ended <- err
	}()
	<-started
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("the call in hand: %v", err)
	}
	waitGone(t, child)
	if _, err := ask(t, p, "any"); !errors.Is(err, ErrClosed) {
		t.Errorf("a call after the end: %v", err)
	}
}

func TestNoCommand(t *testing.T) {
	p := newPool(t, "play", func(c *Config) { c.Command = []string{filepath.Join(t.TempDir(), "nothing")} })
	var reason *parse.Error
	if _, err := ask(t, p, "any"); err == nil || errors.As(err, &reason) {
		t.Errorf("error %v, want one that blames no document", err)
	}
}

// TestPack sends each heading once, and text as it is.
func TestPack(t *testing.T) {
	long := strings.Repeat("título ", 30)
	c := parse.Content{Text: "<<<<<<<<", Blocks: []parse.Block{
		{End: 1}, {Start: 1, End: 2, Under: []string{long}}, {Start: 2, End: 3, Under: []string{long}},
		{Start: 3, End: 4, Under: []string{long, long}}, {Start: 4, End: 5, Under: []string{long, "b"}},
		{Start: 5, End: 6, Under: []string{"c"}}, {Start: 6, End: 7}, {Start: 7, End: 8, Under: []string{long}},
	}}
	var line bytes.Buffer
	if err := writeLine(&line, answer{Content: pack(c)}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(line.String(), long); n != 3 || !strings.Contains(line.String(), c.Text) {
		t.Errorf("a heading is sent %d times in %s", n, &line)
	}
	a, err := readAnswer(bufio.NewReader(&line))
	if err == nil {
		err = a.check(opParse)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, a.Content.Content, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-sent +got):\n%s", diff)
	}
	for _, lie := range [][]block{
		{{Kept: 1}}, {{Kept: -1}}, {{Block: parse.Block{End: 1, Under: make([]string, maxPath+1)}}},
	} {
		a := answer{Content: &content{Content: parse.Content{Text: "x"}, Blocks: lie}}
		if err := a.check(opParse); err == nil {
			t.Errorf("%+v is believed", lie)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	for _, line := range []string{"", "{}", "[]\n", `{"id":"x"}` + "\n", strings.Repeat("{", 1<<16) + "\n"} {
		if a, err := readAnswer(bufio.NewReader(strings.NewReader(line))); err == nil {
			t.Errorf("%.20q reads as %v", line, a)
		}
	}
	var out bytes.Buffer
	if err := writeLine(&out, answer{ID: 7, PNG: bytes.Repeat([]byte("x"), 1<<20)}); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(&out)
	if a, err := readAnswer(r); err != nil || a.ID != 7 || len(a.PNG) != 1<<20 {
		t.Errorf("answer %d of %d bytes, error %v", a.ID, len(a.PNG), err)
	}
	if _, err := readAnswer(r); !errors.Is(err, io.EOF) {
		t.Errorf("error %v at the end", err)
	}
}
