//go:build !linux

package subprocess

import "syscall"

// tied are [Attributes] of a process that ends when this one is killed: on Windows its job is closed then,
// elsewhere it reads the end of its input.
func tied() *syscall.SysProcAttr { return Attributes() }

func confine(int, uint64) {}

// Isolates reports whether a process can be kept from the network here.
func Isolates() bool { return false }

func isolate(*syscall.SysProcAttr) {}
