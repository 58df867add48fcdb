//go:build unix

package sidecar

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
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
