//go:build unix

package subprocess

import (
	"os"
	"syscall"
)

// A group is a process and all it has started.
type group struct{ leader int }

func newGroup(p *os.Process) (*group, error) { return &group{leader: p.Pid}, nil }

func (g *group) kill() { _ = syscall.Kill(-g.leader, syscall.SIGKILL) }
