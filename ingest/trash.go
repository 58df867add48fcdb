package ingest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

// trash is where a removed document's files are: <data>/trash/<id>/<path in the folder>.
func (c *Corpus) trash(id string) string { return filepath.Join(c.cfg.Data, "trash", id) }

// Remove moves a document's files to the trash and takes it out of the index.
// [Corpus.Restore] undoes it. One that is in the trash already is no error. A
// file that stays in the folder, as the process was killed or the system
// refuses to move it, is found there again and its document is back.
func (c *Corpus) Remove(ctx context.Context, id string) error {
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	r := ch.row(id)
	switch {
	case r == nil || r.Status != Removed && len(r.Paths) == 0:
		return ErrNotFound
	case r.Status == Removed:
		return nil
	}
	away := r.Paths
	for _, path := range away {
		ch.point(path, nil)
	}
	r = ch.row(id)
	r.Status, r.Error, r.Away, r.Updated = Removed, nil, away, now()
	ch.put(r)
	if err := c.apply(ctx, ch, "removed"); err != nil {
		return err
	}
	return c.moveAway(ctx, r)
}

// moveAway moves the files of a document that the ledger has removed. A file
// that has another content by now stays. The caller holds c.change.
func (c *Corpus) moveAway(ctx context.Context, r *row) error {
	root, err := os.OpenRoot(c.cfg.Docs)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, path := range r.Away {
		if !c.still(ctx, root, r, path) {
			continue
		}
		if err := c.moveFile(root, path, filepath.Join(c.trash(r.ID), filepath.FromSlash(path))); err != nil {
			return err
		}
		c.cfg.at("moved")
	}
	return nil
}

// still reports whether a path has the content of a document; of one that was never read, any file is it.
func (c *Corpus) still(ctx context.Context, root *os.Root, r *row, path string) bool {
	if r.unread() {
		info, err := root.Lstat(filepath.FromSlash(path))
		return err == nil && info.Mode().IsRegular()
	}
	return c.holds(ctx, root, path, r.SHA256)
}

// moveFile moves a file out of the folder, by copying where it is another file system.
func (c *Corpus) moveFile(root *os.Root, path, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	path = filepath.FromSlash(path)
	if os.Rename(filepath.Join(c.cfg.Docs, path), to) == nil {
		return nil
	}
	from, err := root.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	if err := writeFile(to, from); err != nil {
		return err
	}
	return root.Remove(path)
}

// writeFile writes r to a file, durably.
func writeFile(name string, r io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Restore brings a document back from the trash to the paths it had; a path
// that something else has by now gets a number. One that is not in the trash is
// returned as it is.
func (c *Corpus) Restore(ctx context.Context, id string) (Document, error) {
	r := c.ledger.row(id)
	switch {
	case r == nil:
		return Document{}, ErrNotFound
	case r.Status != Removed:
		return c.view(r), nil
	}
	root, err := os.OpenRoot(c.cfg.Docs)
	if err != nil {
		return Document{}, err
	}
	defer func() { _ = root.Close() }()
	var back []found
	err = filepath.WalkDir(c.trash(id), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		path, err := filepath.Rel(c.trash(id), name)
		if path = filepath.ToSlash(path); err != nil || !r.went(path) {
			return err
		}
		f, err := c.putBack(ctx, root, name, path)
		back = append(back, f)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(back) == 0 {
		return Document{}, ErrNotFound
	}
	if err != nil {
		return Document{}, err
	}
	n, err := c.enter(ctx, root, back)
	if err != nil {
		return Document{}, err
	}
	c.cfg.at("restored")
	if n < len(back) { // someone changed it at once: the trash keeps it, and the folder decides
		c.hint()
		return c.Get(id)
	}
	if err := os.RemoveAll(c.trash(id)); err != nil {
		return Document{}, err
	}
	return c.Get(back[0].id())
}

// went reports whether a file of that path went to the trash at the last
// removal. Others are copies, left by an earlier one that was not restored. (A
// name that is not UTF-8 is not kept as it is.)
func (r *row) went(path string) bool {
	return slices.Contains(r.Away, path) || !utf8.ValidString(path)
}

// putBack copies a file of the trash to its path in the folder.
func (c *Corpus) putBack(ctx context.Context, root *os.Root, name, path string) (found, error) {
	from, err := os.Open(name)
	if err != nil {
		return found{}, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return found{}, err
	}
	temp, sum, err := stage(ctx, root, from)
	if err != nil {
		return found{}, err
	}
	defer func() { _ = root.Remove(temp) }() // it is gone if all went well
	if err := root.Chtimes(temp, info.ModTime(), info.ModTime()); err != nil {
		return found{}, err
	}
	return c.settleIn(ctx, root, temp, path, sum)
}
