package subprocess

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// playing names the environment variable that makes this test binary a program to start.
const playing = "ACERVO_TEST_SUBPROCESS"

func TestMain(m *testing.M) {
	if part := os.Getenv(playing); part != "" {
		play(part)
		return
	}
	os.Exit(m.Run())
}

// play is what the started program does.
func play(part string) {
	switch part {
	case "listens": // until the end of its input
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "deaf":
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "environment":
		fmt.Println(strings.Join(os.Environ(), "\x00"))
	case "fails":
		fmt.Fprintf(os.Stderr, "a banner\n\nTraceback:\n  line 1\nIt is broken: ¡no!\n")
		os.Exit(3)
	default:
		playMore(part)
	}
}

func start(t *testing.T, part string, cfg Config) *Process {
	t.Helper()
	cfg.Command, cfg.Name = []string{os.Args[0]}, "test"
	cfg.Env = append(cfg.Env, playing+"="+part)
	if cfg.Scratch == "" {
		cfg.Scratch = filepath.Join(t.TempDir(), "scratch")
	}
	p, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func line(t *testing.T, p *Process) string {
	t.Helper()
	text, err := bufio.NewReader(p.Stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("it said %q: %v, %s", text, err, p.LastWords())
	}
	return strings.TrimSpace(text)
}

// It sees what it needs of the server's environment: no key, no proxy.
func TestEnvironment(t *testing.T) {
	t.Setenv("ACERVO_LLM_KEY", "secret")
	t.Setenv("HTTPS_PROXY", "http://proxy")
	t.Setenv("LD_PRELOAD", "")
	t.Setenv("TZ", "Europe/Madrid")
	p := start(t, "environment", Config{})
	seen := strings.Split(line(t, p), "\x00")
	if !slices.Contains(seen, "TZ=Europe/Madrid") || !slices.Contains(seen, "TMPDIR="+p.Dir) {
		t.Errorf("it lacks some: %q", seen)
	}
	for _, pair := range seen {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "ACERVO_LLM") || strings.Contains(name, "PROXY") || name == "LD_PRELOAD" {
			t.Errorf("it sees %s", pair)
		}
	}
}

func TestLastWords(t *testing.T) {
	p := start(t, "fails", Config{})
	<-p.Ended()
	if got := p.LastWords(); got != "Traceback: | line 1 | It is broken: ¡no!" || p.State().ExitCode() != 3 {
		t.Errorf("%s: %q", p.State(), got)
	}
}

func TestTailIsBounded(t *testing.T) {
	var tail Tail
	for range 1000 {
		fmt.Fprintln(&tail, strings.Repeat("ñ", 500))
	}
	if got := tail.String(); len(tail.kept) > tailBytes || len(got) > 1000 || strings.Contains(got, "\ufffd") {
		t.Errorf("%d bytes are kept: %q", len(tail.kept), got)
	}
}

func TestClose(t *testing.T) {
	p := start(t, "deaf", Config{})
	line(t, p)
	if p.RSS() < 1<<20 {
		t.Errorf("it holds %d bytes", p.RSS())
	}
	if err := os.WriteFile(filepath.Join(p.Dir, "page"), []byte("private"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := os.Stat(p.Dir); !os.IsNotExist(err) || p.Alive() {
		t.Errorf("its directory: %v, alive %v", err, p.Alive())
	}
}

func TestStartFails(t *testing.T) {
	scratch := t.TempDir()
	if _, err := Start(Config{Command: []string{filepath.Join(scratch, "none")}, Name: "test", Scratch: scratch}); err == nil {
		t.Error("it starts what is not there")
	}
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// What killed servers left is removed; what lives, and what is not ours, stays.
func TestSweep(t *testing.T) {
	scratch := t.TempDir()
	dead := start(t, "listens", Config{})
	dead.Close()
	living := start(t, "listens", Config{})
	names := map[string]bool{ // and whether it stays
		fmt.Sprintf("acervo-ocr-%d-1", dead.PID()):      false,
		fmt.Sprintf("acervo-speech-%d-22", os.Getpid()): false, // another's, before: in a container every server is process 1
		fmt.Sprintf("acervo-ocr-%d-1", living.PID()):    true,
		"acervo-ocr-12":                      true,
		"letters":                            true,
		fmt.Sprintf("acervo-%d", dead.PID()): true,
	}
	for name := range names {
		if err := os.MkdirAll(filepath.Join(scratch, name, "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(scratch); err != nil {
		t.Fatal(err)
	}
	for name, stays := range names {
		if _, err := os.Stat(filepath.Join(scratch, name)); (err == nil) != stays {
			t.Errorf("%s: %v, want it to stay: %v", name, err, stays)
		}
	}
	if err := Sweep(filepath.Join(scratch, "none")); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
}
