//go:build unix

package sidecar

import (
	"os"
	"syscall"
)

// processAttributes give a child a group of its own, so that it can be ended with
// all it has started, and the terminal's Ctrl-C does not reach it. Pdeathsig is not
// set: it fires when the thread that forked ends. A worker whose parent is killed
// reads the end of its input, and leaves.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// A group is a child and all it has started.
type group struct{ leader int }

func newGroup(p *os.Process) (*group, error) { return &group{leader: p.Pid}, nil }

func (g *group) kill() { _ = syscall.Kill(-g.leader, syscall.SIGKILL) }
