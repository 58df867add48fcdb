package ingest

import (
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ignoreFile, at the root of the folder, holds patterns of what to leave out.
const ignoreFile = ".acervoignore"

// passing are the endings of files that are on their way to another name, and
// litter the names that programs leave in folders. All in lower case.
var (
	passing = []string{".part", ".crdownload", ".tmp", ".download"}
	litter  = []string{"thumbs.db", "desktop.ini", "@eadir", "__macosx", "#recycle"}
)

// ignoredName reports whether nothing of that name is ever taken.
func ignoredName(base string) bool {
	lower := strings.ToLower(base)
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "~$") || slices.Contains(litter, lower) ||
		slices.ContainsFunc(passing, func(ending string) bool { return strings.HasSuffix(lower, ending) })
}

// rules are the user's own patterns, a subset of gitignore's: one a line, of
// [path.Match]; with a slash within, for the whole path, else for any name in
// it; with one at the end, for directories only; # begins a comment.
type rules []string

// readRules reads the patterns of the folder. Without a file that can be read there are none.
func readRules(dir string) rules {
	f, err := os.OpenFile(filepath.Join(dir, ignoreFile), os.O_RDONLY|careful, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil
	}
	var all rules
	for line := range bytes.Lines(raw) {
		if p := strings.TrimSpace(string(line)); p != "" && p[0] != '#' {
			all = append(all, p)
		}
	}
	return all
}

// ignore reports whether a path is left out, its directories being known not to be.
func (r rules) ignore(name string, dir bool) bool {
	base := path.Base(name)
	if ignoredName(base) {
		return true
	}
	return slices.ContainsFunc(r, func(pattern string) bool {
		pattern, onlyDir := strings.CutSuffix(pattern, "/")
		if onlyDir && !dir {
			return false
		}
		subject := base
		if strings.Contains(pattern, "/") {
			pattern, subject = strings.TrimPrefix(pattern, "/"), name
		}
		match, err := path.Match(pattern, subject)
		return err == nil && match
	})
}
