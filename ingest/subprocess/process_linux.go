package subprocess

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tied are [Attributes] of a process that the system ends when this one is killed: one that listens reads
// the end of its input, but one that is caught in a library does not listen. The signal comes when the thread
// that started the process ends: see [Process.run].
func tied() *syscall.SysProcAttr {
	attributes := Attributes()
	attributes.Pdeathsig = syscall.SIGKILL
	return attributes
}

// sacrifice is what is added to a process's badness, of 1000, when memory runs
// out: it goes, and is started again, rather than the server.
const sacrifice = 500

// confine makes a process the first to go, keeps its memory from ending up in a core
// file, and bounds its address space. What cannot be set here, as in some containers, is left.
func confine(pid int, memory uint64) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), fmt.Append(nil, sacrifice), 0o600)
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	if memory > 0 {
		_ = unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: memory, Max: memory}, nil)
	}
}
