//go:build unix

package sidecar

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestGrandchild(t *testing.T) {
	for _, behaviour := range []string{"grandchild", "grandchild, then dies"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			note := filepath.Join(t.TempDir(), "pid")
			bounds := quick
			bounds.stall = 2 * time.Second
			r := ocrWorker(t, bounds, fakeCommand("ocr", behaviour, note))
			start := time.Now()
			if _, _, err := r.worker.do(t.Context(), pace(t, 0)); err == nil {
				t.Error("no error")
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			text, err := os.ReadFile(note)
			if err != nil {
				t.Fatal(err)
			}
			pid, _ := strconv.Atoi(string(text))
			if !gone(pid) {
				t.Errorf("process %d, which the worker started, lives on", pid)
			}
		})
	}
}

// gone waits a moment for a process of another parent to be gone, or a zombie.
func gone(pid int) bool {
	for range 100 {
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
