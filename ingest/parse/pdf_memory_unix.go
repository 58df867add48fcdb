//go:build unix

package parse

import (
	"context"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// withMemory makes the sandbox take its memory from the system, where it grows
// in place and goes back at once. Memory of Go's is copied when it grows, and
// twice the most that a document may use is more than a process may.
func withMemory(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		mapped, err := unix.Mmap(-1, 0, int(most), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return &mapping{}
		}
		return &mapping{mapped}
	}))
}

// A mapping is memory of which only what was used is really there.
type mapping struct{ mapped []byte }

// Reallocate returns the first size bytes, or nil where there are not so many.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > uint64(len(m.mapped)) {
		return nil
	}
	return m.mapped[:size]
}

// Free gives the memory back.
func (m *mapping) Free() {
	_ = unix.Munmap(m.mapped) // of what the system gave; there is no other use of it
	m.mapped = nil
}
