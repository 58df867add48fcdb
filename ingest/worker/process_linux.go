package worker

import "syscall"

// processAttributes give a child a group of its own, so that it can be ended
// with all it has started, and end it when its parent is killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
