//go:build unix && !linux

package subprocess

import "syscall"

// Attributes give a process a group of its own, so that it can be ended with all it has
// started. When this process is killed it reads the end of its input, and leaves.
func Attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func confine(int, uint64) {}
