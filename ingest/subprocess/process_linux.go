package subprocess

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
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

// Isolates reports whether a process can be kept from the network here. Many
// containers and some distributions forbid the namespaces that it takes.
var Isolates = sync.OnceValue(func() bool {
	attributes := Attributes()
	isolate(attributes)
	// Where that is allowed the program is looked for next, and is not there.
	nothing := exec.Cmd{Path: "/proc/self/none", SysProcAttr: attributes}
	return errors.Is(nothing.Start(), fs.ErrNotExist)
})

// isolate gives a process a network of its own, in which nothing is. Who is not root has to be it in a
// namespace of users for that, in which everybody else's files are as they were; for root they would not be.
func isolate(attributes *syscall.SysProcAttr) {
	attributes.Cloneflags |= syscall.CLONE_NEWNET
	if os.Geteuid() == 0 {
		return
	}
	attributes.Cloneflags |= syscall.CLONE_NEWUSER
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
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
