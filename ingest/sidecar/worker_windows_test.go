package sidecar

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// gone waits a moment for a process to be gone.
func gone(pid int) bool {
	for range 100 {
		if _, err := os.FindProcess(pid); err != nil {
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
	_, err = os.FindProcess(n)
	return err != nil
}
