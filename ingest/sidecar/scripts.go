package sidecar

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed python/*.py
var sources embed.FS

// unpack puts the workers' sources below cache, in a directory named by their
// content, and returns it. It is called at each start of a worker: what is there is
// read and compared, and what differs is written anew.
func unpack(cache string) (string, error) {
	names, err := fs.Glob(sources, "python/*.py")
	if err != nil {
		return "", err
	}
	hash, content := sha256.New(), map[string][]byte{}
	for _, name := range names {
		source, err := sources.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(source), source)
		content[filepath.Base(name)] = source
	}
	dir := filepath.Join(cache, "workers", hex.EncodeToString(hash.Sum(nil))[:16])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("sources of the workers: %w", err)
	}
	for name, source := range content {
		if err := place(filepath.Join(dir, name), source); err != nil {
			return "", fmt.Errorf("sources of the workers: %w", err)
		}
	}
	return dir, nil
}

// place makes path hold content. Another process may do the same at once, so it is put there whole.
func place(path string, content []byte) error {
	if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
