//go:build unix

package sidecar

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// SUB-03: what hangs, has started others and heeds no SIGTERM is gone with all of them soon after its time.
func TestSUB03Grandchild(t *testing.T) {
	for name, command := range faulty(t) {
		for _, behaviour := range []string{"grandchild", "grandchild, then dies"} {
			if name == "script" && behaviour != "grandchild" {
				continue
			}
			t.Run(name+"/"+behaviour, func(t *testing.T) {
				t.Parallel()
				note := filepath.Join(t.TempDir(), "pid")
				bounds := quick
				bounds.stall = 2 * time.Second
				r := ocrWorker(t, bounds, command(behaviour, note))
				if err := start(t, r.worker); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				if _, _, err := r.worker.do(t.Context(), pace(t, 0)); err == nil {
					t.Error("no error")
				}
				if took := time.Since(begin); took > bounds.stall+20*time.Second {
					t.Errorf("it took %s", took)
				}
				text, err := os.ReadFile(note)
				if err != nil {
					t.Fatal(err)
				}
				if pid, _ := strconv.Atoi(string(text)); !gone(pid) {
					t.Errorf("process %d, which the worker started, lives on", pid)
				}
			})
		}
	}
}

// SUB-06: a worker cannot send a document anywhere, where the system allows that to be seen to.
func TestSUB06Offline(t *testing.T) {
	command, ok := faulty(t)["script"]
	if !ok || !subprocess.Isolates() {
		t.Skip("no python3, or no isolation here")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := ocrWorker(t, quick, command("calls", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)))
	if _, _, err = r.worker.do(t.Context(), pace(t, 0)); err == nil || !strings.Contains(err.Error(), "it was not: [Errno 101] Network is unreachable") {
		t.Errorf("error %v", err)
	}
}

// start has a worker ready before a clock runs.
func start(t *testing.T, w *worker) error {
	w.turn <- struct{}{}
	defer w.exit()
	return w.ready(t.Context())
}

// What the address space does not hold is refused in words.
func TestAddressSpace(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux limits it")
	}
	command, ok := faulty(t)["script"]
	if !ok {
		t.Skip("no python3")
	}
	bounds := quick
	bounds.addressMB = 4 << 10
	r := ocrWorker(t, bounds, command("memory"))
	_, _, err := r.worker.do(t.Context(), pace(t, 0))
	var refused *refusal
	if !errors.As(err, &refused) || refused.Code != codeNoRAM {
		t.Errorf("error %v", err)
	}
}
