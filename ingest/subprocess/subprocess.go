// Package subprocess starts the programs that read documents, pictures and
// recordings for the server, and ends them with all that they have started.
//
// Such a program sees none of the server's keys, writes into a directory of its
// own, is the first that the system ends when memory runs out, and does not
// outlive the server, however that ends. What is said over its pipes, and every
// limit of time, is its user's.
package subprocess

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// A Config says how a program is started.
type Config struct {
	Command []string // argv
	Env     []string // added to the few variables that it inherits, as "KEY=value"
	Name    string   // of its directory: letters
	Scratch string   // where its directory is made; "" is the system's temporary directory
	Memory  uint64   // bytes of address space that it may take, where the system limits that; 0 is no limit
	Offline bool     // it has no network, where [Isolates]
}

// outlives is how long what a program has started may hold its stderr open after its end.
const outlives = time.Second

// A Process is a program that was started, with all it has started itself.
type Process struct {
	Stdin  io.WriteCloser
	Stdout io.ReadCloser
	Dir    string // its working directory and the place of its temporary files; nobody else's

	cmd    *exec.Cmd
	group  *group
	stderr Tail
	ended  chan struct{}
	closed sync.Once
}

// Start starts a program. Who starts it must call Close.
func Start(cfg Config) (*Process, error) {
	dir, err := makeDir(cfg.Scratch, cfg.Name)
	if err != nil {
		return nil, err
	}
	p := &Process{Dir: dir, cmd: exec.Command(cfg.Command[0], cfg.Command[1:]...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, Environment(dir, cfg.Env), &p.stderr
	p.cmd.WaitDelay, p.cmd.SysProcAttr = outlives, tied()
	if cfg.Offline && Isolates() {
		isolate(p.cmd.SysProcAttr)
	}
	started := make(chan error)
	go p.run(cfg.Memory, started)
	if err := <-started; err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

// run starts the process, waits for its end, and ends what it leaves behind. All of that is on one thread:
// where the system ends a process with the one that started it, it is the thread that counts.
func (p *Process) run(memory uint64, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.start(memory)
	started <- err
	if err != nil {
		return
	}
	_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
	p.group.kill()
	close(p.ended)
}

// start starts the process. Its stdout is a pipe of ours, not of [exec.Cmd]: Wait must
// not depend on its end, which a process that it has started can hold open.
func (p *Process) start(memory uint64) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	p.Stdout, p.cmd.Stdout = r, w
	if p.Stdin, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		r.Close()
		return err
	}
	if p.group, err = newGroup(p.cmd.Process); err != nil {
		r.Close()
		return errors.Join(err, p.cmd.Process.Kill(), p.cmd.Wait())
	}
	confine(p.cmd.Process.Pid, memory)
	return nil
}

// Ended is closed when the process, and all it has started, are no more.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Alive reports whether the process has not ended.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// State is how the process ended; nil before that.
func (p *Process) State() *os.ProcessState {
	if p.Alive() {
		return nil
	}
	return p.cmd.ProcessState
}

// LastWords are the last lines that it wrote to its stderr.
func (p *Process) LastWords() string { return p.stderr.String() }

// RSS is how many bytes of memory the process holds; 0 where that cannot be told.
func (p *Process) RSS() uint64 {
	now := process.Process{Pid: int32(p.PID())}
	memory, err := now.MemoryInfo()
	if err != nil {
		return 0
	}
	return memory.RSS
}

// Kill ends the process with all it has started, and does not wait for that.
func (p *Process) Kill() {
	if p.Alive() {
		p.group.kill()
	}
}

// Close ends the process with all it has started, waits for that, and removes its directory.
func (p *Process) Close() {
	p.closed.Do(func() {
		_ = p.Stdin.Close()
		p.Kill()
		<-p.ended
		_ = p.Stdout.Close()
		_ = os.RemoveAll(p.Dir)
	})
	<-p.ended
}
