package subprocess

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/shirou/gopsutil/v4/process"
)

// A directory's name says which server it was made by: acervo-<name>-<pid>-<random>.
var ours = regexp.MustCompile(`^acervo-[a-z]+-([0-9]+)-[0-9]+$`)

func makeDir(scratch, name string) (string, error) {
	if scratch != "" {
		if err := os.MkdirAll(scratch, 0o700); err != nil {
			return "", fmt.Errorf("directory of a process: %w", err)
		}
	}
	dir, err := os.MkdirTemp(scratch, fmt.Sprintf("acervo-%s-%d-", name, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("directory of a process: %w", err)
	}
	return dir, nil
}

// Sweep removes the directories that servers which were killed have left in
// scratch, with the parts of documents in them. It must be called before the
// first Start: one that bears this process's own number is another's, which had it
// before, as in a container that was started again. What belongs to a process that
// lives is left, though another program may have its number now.
func Sweep(scratch string) error {
	entries, err := os.ReadDir(scratch)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		name := ours.FindStringSubmatch(e.Name())
		if name == nil {
			continue
		}
		pid, _ := strconv.ParseInt(name[1], 10, 32)
		if alive, unknown := process.PidExists(int32(pid)); (alive || unknown != nil) && int(pid) != os.Getpid() {
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(scratch, e.Name())))
	}
	return err
}
