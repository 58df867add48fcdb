package worker

import (
	"os"
	"syscall"
)

const openFlags = 0

// processAttributes keep the console's Ctrl-C from a child: its parent ends it.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

func killGroup(p *os.Process) { _ = p.Kill() }
