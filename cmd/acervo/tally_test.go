package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest"
)

// Work that takes hours, and what it costs to be killed in the middle of it: a
// scan of 300 pages and a recording of 3 hours, read by a server that is a
// process of its own, killed with its engine again and again. Whatever the engine
// is asked for is written down between the two, by the protocol alone.
//
// The engine is the stand-in of the real scripts, which needs only Python. With
// ACERVO_TEST_LONG set it is the real one.

const (
	scanPages    = 300
	recordingS   = 3 * 60 * 60
	engineMaxMB  = 1500 // of resident memory
	longVariable = "ACERVO_TEST_LONG"
)

// A tally stands between a server and an engine. It writes each unit that the
// engine begins to a file, a line each: process, unit, and the most memory, in kB, that the process has held.
type tally struct {
	out    *os.File
	paceS  float64 // that the stand-in takes for a unit
	mu     sync.Mutex
	worker int // its process
}

// tallyArgument makes the test binary a tally: the file, the pace and the engine's command follow.
const tallyArgument = "tally"

func runTally(args []string) int {
	args = args[1:]
	out, err := os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	defer out.Close()
	t := &tally{out: out}
	if t.paceS, err = strconv.ParseFloat(args[1], 64); err != nil {
		return 1
	}
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return 1
	}
	if err := cmd.Start(); err != nil {
		return 1
	}
	go func() {
		lines(os.Stdin, func(line []byte) { _, _ = in.Write(t.asked(line)) })
		_ = in.Close()
	}()
	lines(said, func(line []byte) {
		t.said(line)
		_, _ = os.Stdout.Write(line)
	})
	_ = cmd.Wait()
	return max(0, cmd.ProcessState.ExitCode())
}

// lines hands over what comes from r, line by line.
func lines(r io.Reader, do func(line []byte)) {
	for in := bufio.NewReader(r); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		do(line)
	}
}

// asked notes a page that the server asks for, and has the stand-in take its time.
func (t *tally) asked(line []byte) []byte {
	var m map[string]any
	if json.Unmarshal(line, &m) != nil || m["t"] != "req" {
		return line
	}
	params, _ := m["p"].(map[string]any)
	path, _ := params["path"].(string)
	if path == "" {
		return line
	}
	if m["m"] == "ocr" { // a page is told by its width
		head := make([]byte, 24)
		f, err := os.Open(path)
		if err == nil {
			_, _ = io.ReadFull(f, head)
			_ = f.Close()
		}
		t.note(fmt.Sprintf("page-%d", binary.BigEndian.Uint32(head[16:20])))
	}
	params["pace_s"] = t.paceS
	paced, _ := json.Marshal(m)
	return append(paced, '\n')
}

// said notes who the engine is, and the window that it begins.
func (t *tally) said(line []byte) {
	var m struct {
		Type string `json:"t"`
		PID  int    `json:"pid"`
		Kind string `json:"kind"`
		V    struct {
			S float64 `json:"s"`
		} `json:"v"`
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	switch {
	case m.Type == "hello":
		t.mu.Lock()
		t.worker = m.PID
		t.mu.Unlock()
	case m.Kind == "window":
		t.note(fmt.Sprintf("window-%g", m.V.S))
	case m.Type == "res":
		t.note("answer")
	}
}

func (t *tally) note(unit string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%d %s %d\n", t.worker, unit, peakKB(t.worker))
}

// peakKB is the most memory that a process has held.
func peakKB(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return kb
}

// A marathon is a long work, its server, and what the engine has been asked for.
type marathon struct {
	*testing.T
	home     string
	settings []string
	client   *client
	server   *exec.Cmd
}

// newMarathon prepares the engine of the tests: the real one, or the stand-in at a pace.
func newMarathon(t *testing.T, paceS float64) *marathon {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is started by a shell")
	}
	m := &marathon{T: t, home: t.TempDir()}
	shareEngine(t, m.file("data"))
	python, more := "python3", " --engine fake"
	model := filepath.Join(m.home, "model")
	if os.Getenv(longVariable) != "" {
		python, model, more, paceS = os.Getenv("ACERVO_TEST_PYTHON"), os.Getenv("ACERVO_TEST_WHISPER_MODEL"), "", 0
	} else if err := os.Mkdir(model, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(python); err != nil {
		t.Skipf("no Python for the engine: %v", err)
	}
	if more != "" {
		m.write("model/model.bin", nil)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.write("python", fmt.Appendf(nil, "#!/bin/sh\nexec '%s' %s '%s' %g '%s' \"$@\"%s\n", self, tallyArgument, m.file("tally"), paceS, python, more))
	m.settings = append(slices.Clone(noEngine), "workers.python="+m.file("python"), "speech.model="+model, "ocr.engine=rapidocr", "watch.settle=100ms")
	t.Cleanup(func() { m.kill() })
	return m
}

func (m *marathon) file(name string) string { return filepath.Join(m.home, name) }

func (m *marathon) write(name string, data []byte) {
	m.Helper()
	if err := os.MkdirAll(filepath.Dir(m.file(name)), 0o700); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(m.file(name), data, 0o700); err != nil {
		m.Fatal(err)
	}
}

// serve starts the server, a process of its own.
func (m *marathon) serve() {
	m.Helper()
	args := []string{"serve", "--docs", m.file("docs"), "--data", m.file("data"), "--addr", "127.0.0.1:0"}
	for _, s := range m.settings {
		args = append(args, "--set", s)
	}
	m.server = exec.Command(os.Args[0], args...)
	m.server.Stderr = m.Output()
	out, err := m.server.StdoutPipe()
	if err != nil {
		m.Fatal(err)
	}
	if err := m.server.Start(); err != nil {
		m.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		m.Fatalf("the server does not start: %v", err)
	}
	m.client = &client{base: strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), http: &http.Client{}}
}

// kill ends the server as a power cut does. Its engine has to notice by itself.
func (m *marathon) kill() {
	if m.server == nil {
		return
	}
	_ = m.server.Process.Kill()
	_ = m.server.Wait()
	m.server = nil
}

// A unit is a page or a window that an engine began, and who it was.
type unit struct {
	worker int
	name   string
}

// units are all that the engines began, in order, and the most memory that one held.
func (m *marathon) units() (all []unit, peakMB int) {
	raw, _ := os.ReadFile(m.file("tally"))
	for line := range strings.Lines(string(raw)) {
		var u unit
		var kb int
		if _, err := fmt.Sscanf(line, "%d %s %d\n", &u.worker, &u.name, &kb); err != nil {
			continue // being written
		}
		if peakMB = max(peakMB, kb>>10); u.name != "answer" {
			all = append(all, u)
		}
	}
	return all, peakMB
}

// await waits until the engines have begun n units.
func (m *marathon) await(n int, patience time.Duration) unit {
	m.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if all, _ := m.units(); len(all) >= n {
			return all[len(all)-1]
		}
		if time.Now().After(end) {
			m.Fatalf("no unit %d after %s", n, patience)
		}
	}
}

// awaitKept waits until the server has kept what comes before a window. It hears
// of that from the engine, which does not wait for it: killed in that moment, it has
// the window before heard again, and the one that has just begun.
func (m *marathon) awaitKept(at unit, patience time.Duration) {
	m.Helper()
	start, isWindow := strings.CutPrefix(at.name, "window-")
	if !isWindow {
		return
	}
	second, err := strconv.ParseFloat(start, 64)
	if err != nil {
		m.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		docs, err := m.client.documents(m.Context(), nil)
		if err != nil {
			m.Fatal(err)
		}
		if len(docs) == 1 && docs[0].Progress != nil && docs[0].Progress.Done >= int(second) {
			return
		}
		if time.Now().After(end) {
			m.Fatalf("second %g is not kept after %s: %+v", second, patience, docs)
		}
	}
}

// killEngine ends the engine as running out of memory does.
func (m *marathon) killEngine(pid int) {
	m.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		m.Fatal(err)
	}
}

// run does the work on one document with a kill at each of these units, the server's and the
// engine's in turns, and returns what came of it.
func (m *marathon) run(name string, kills []int, patience time.Duration) ingest.Document {
	m.Helper()
	start := time.Now()
	m.serve()
	for i, n := range kills {
		at := m.await(n, patience)
		m.awaitKept(at, patience)
		if i%2 == 1 {
			m.killEngine(at.worker)
			continue
		}
		m.kill()
		for end := time.Now().Add(20 * time.Second); alive(at.worker); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				m.Fatalf("engine %d lives on 20 seconds after its server", at.worker)
			}
		}
		m.serve()
	}
	d := m.settled(1, patience)[name]
	all, peak := m.units()
	times := map[string]int{}
	for _, u := range all {
		times[u.name]++
	}
	m.Logf("%s: %d units, begun %d times with %d kills; the engine held %d MB at most; %s",
		name, len(times), len(all), len(kills), peak, time.Since(start).Round(time.Second))
	if repeated := len(all) - len(times); repeated > len(kills) {
		m.Errorf("%d units were repeated after %d kills", repeated, len(kills))
	}
	if peak > engineMaxMB {
		m.Errorf("the engine held %d MB, more than %d", peak, engineMaxMB)
	}
	return d
}

func alive(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(status, []byte(") Z "))
}

// settled waits until n documents are at their end.
func (m *marathon) settled(n int, patience time.Duration) map[string]ingest.Document {
	m.Helper()
	docs := (&library{client: m.client}).settleFor(m, n, false, patience)
	for path, d := range docs {
		if d.Status != ingest.Ready {
			m.Errorf("%s is %s: %+v", path, d.Status, d.Error)
		}
	}
	return docs
}
