//go:build unix

package worker

import "syscall"

// openFlags keep Serve from waiting for the writer of a pipe and from following links.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOFOLLOW
