//go:build unix && !linux

package worker

import "syscall"

// processAttributes give a child a group of its own, so that it can be ended
// with all it has started. When its parent is killed it reads the end of its
// input, and leaves.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
