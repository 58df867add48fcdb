//go:build unix

package ingest

import (
	"errors"
	"os"
	"path/filepath"
)

// syncDir makes a new name in a directory durable.
func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(filepath.FromSlash(dir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
