package sidecar

import (
	"os"
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
