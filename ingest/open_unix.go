//go:build unix

package ingest

import "syscall"

// careful keeps the opening of a pipe from waiting for its other end, and of a link from following it.
const careful = syscall.O_NONBLOCK | syscall.O_NOFOLLOW
