//go:build unix

package subprocess

import (
	"os"
	"syscall"
)

// Attributes give a process a group of its own, so that it can be ended with all it
// has started, and the terminal's Ctrl-C does not reach it.
func Attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// A group is a process and all it has started.
type group struct{ leader int }

func newGroup(p *os.Process) (*group, error) { return &group{leader: p.Pid}, nil }

func (g *group) kill() { _ = syscall.Kill(-g.leader, syscall.SIGKILL) }
