package ingest

import (
	"io/fs"
	"syscall"
)

// system adds what only the file system's own record tells: the time of the last
// change of any kind, which no program can set back, and who the file is.
func (s stamp) system(info fs.FileInfo) (_ stamp, device uint64) {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return s, 0
	}
	s.CTime, s.Inode = sys.Ctimespec.Nano(), sys.Ino
	return s, uint64(sys.Dev)
}
