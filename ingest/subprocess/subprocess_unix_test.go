//go:build unix

package subprocess

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func playMore(part string) {
	switch part {
	case "forks", "forks a stranger": // and lets it hold its pipes
		sleep := exec.Command("sleep", "3600")
		sleep.Stdout, sleep.Stderr = os.Stdout, os.Stderr
		sleep.SysProcAttr = &syscall.SysProcAttr{Setsid: part == "forks a stranger"}
		_ = sleep.Start()
		fmt.Println(sleep.Process.Pid)
		if part == "forks a stranger" {
			return
		}
		time.Sleep(time.Hour)
	case "calls": // the server's port
		_, err := net.DialTimeout("tcp", os.Getenv("ACERVO_TEST_PART"), 5*time.Second)
		fmt.Println("said", err)
	case "server": // that has a program of its own
		p, err := Start(Config{Command: []string{os.Args[0]}, Env: []string{playing + "=" + os.Getenv("ACERVO_TEST_PART")}, Name: "test", Scratch: os.Getenv("ACERVO_TEST_SCRATCH")})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.PID())
		<-p.Ended()
	}
}

// gone waits a moment for a process of another parent to be gone, or a zombie.
func gone(pid int) bool {
	for range 150 {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		if stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); bytes.Contains(stat, []byte(") Z ")) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCloseEndsWhatItStarted(t *testing.T) {
	p := start(t, "forks", Config{})
	pid := number(t, line(t, p))
	p.Close()
	if !gone(pid) {
		t.Errorf("process %d lives on", pid)
	}
}

// One that has left the group cannot be found; what it holds open must hold nobody up.
func TestCloseDoesNotWaitForStrangers(t *testing.T) {
	p := start(t, "forks a stranger", Config{})
	pid := number(t, line(t, p))
	begin := time.Now()
	<-p.Ended()
	p.Close()
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// SUB-05: a server that is killed leaves no process behind, also none that does not
// listen where the system can see to that, and its directory is swept at the next start.
func TestSUB05ServerKilled(t *testing.T) {
	for _, part := range []string{"listens", "deaf"} {
		t.Run(part, func(t *testing.T) {
			if part == "deaf" && runtime.GOOS != "linux" {
				t.Skip("only Linux ends a process with its parent")
			}
			scratch := t.TempDir()
			server := start(t, "server", Config{Env: []string{"ACERVO_TEST_PART=" + part, "ACERVO_TEST_SCRATCH=" + scratch}})
			pid := number(t, line(t, server))
			if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil { // it alone, not its group
				t.Fatal(err)
			}
			<-server.Ended()
			if !gone(pid) {
				t.Errorf("process %d lives on", pid)
			}
			left, _ := filepath.Glob(filepath.Join(scratch, "acervo-test-*"))
			if err := Sweep(scratch); err != nil || len(left) != 1 {
				t.Errorf("left %v, %v", left, err)
			}
			if left, _ = filepath.Glob(filepath.Join(scratch, "*")); len(left) > 0 {
				t.Errorf("not swept: %v", left)
			}
		})
	}
}

// SUB-06: what reads documents cannot send them anywhere, where the system allows that to be seen to.
func TestSUB06Offline(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env := []string{"ACERVO_TEST_PART=" + l.Addr().String()}
	if got := line(t, start(t, "calls", Config{Env: env})); got != "said <nil>" {
		t.Fatalf("with a network: %s", got)
	}
	if !Isolates() {
		t.Skip("no isolation here")
	}
	if got := line(t, start(t, "calls", Config{Env: env, Offline: true})); !strings.Contains(got, "unreachable") {
		t.Errorf("without one: %s", got)
	}
}

func TestConfined(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has these limits")
	}
	p := start(t, "deaf", Config{Memory: 8 << 30, Offline: true})
	line(t, p)
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.PID()))
	if err != nil || strings.TrimSpace(string(score)) != "500" {
		t.Errorf("oom_score_adj %q, %v", score, err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]string{}
	for row := range strings.Lines(string(text)) {
		if len(row) > 40 {
			limits[strings.TrimSpace(row[:26])] = strings.Fields(row[26:])[0]
		}
	}
	if limits["Max core file size"] != "0" || limits["Max address space"] != strconv.Itoa(8<<30) {
		t.Errorf("limits %v", limits)
	}
}
