//go:build unix

package worker

import (
	"os"
	"syscall"
)

// openFlags keep Serve from waiting for the writer of a pipe and from following links.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOFOLLOW

func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
