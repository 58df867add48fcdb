//go:build unix

package sidecar

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

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

// dead reports whether a process has ended, at this moment.
func dead(t *testing.T, pid string) bool {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	return syscall.Kill(n, 0) != nil
}
