package ingest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// staged is how files begin that are not complete yet. They lie at the root of
// the folder, where a rename makes them visible in one step.
const staged = ".acervo-"

// removeStaged removes what a killed process left half-written.
func removeStaged(docs string) {
	entries, _ := os.ReadDir(docs) // a folder that cannot be read has nothing to remove
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), staged) {
			_ = os.Remove(filepath.Join(docs, e.Name()))
		}
	}
}

// Add writes a file into the folder, in a collection ("" is the folder itself),
// and returns its document: queued, or in its present state where the content
// is known. A name that is taken by another content gets a number. A name that
// the folder ignores, or that is more than a name, is a [parse.Error].
func (c *Corpus) Add(ctx context.Context, collection, name string, r io.Reader) (Document, error) {
	if err := c.acceptable(collection, name); err != nil {
		return Document{}, err
	}
	root, err := os.OpenRoot(c.cfg.Docs)
	if err != nil {
		return Document{}, err
	}
	defer func() { _ = root.Close() }()
	temp, sum, err := stage(ctx, root, r)
	if err != nil {
		return Document{}, err
	}
	defer func() { _ = root.Remove(temp) }() // it is gone if all went well
	c.cfg.at("staged")
	f, err := c.settleIn(ctx, root, temp, path.Join(collection, name), sum)
	if err != nil {
		return Document{}, err
	}
	if _, err := c.enter(ctx, root, []found{f}); err != nil {
		return Document{}, err
	}
	return c.Get(f.id())
}

// acceptable says why a file of that name would not be taken.
func (c *Corpus) acceptable(collection, name string) error {
	for _, part := range []string{collection, name} {
		if strings.ContainsAny(part, "/\\\x00") || !utf8.ValidString(part) {
			return parse.Errorf(parse.Unsupported, "a name may not hold slashes, and must be UTF-8")
		}
	}
	if collection != "" && filepath.Join(c.cfg.Docs, collection) == c.cfg.Data {
		return parse.Errorf(parse.Unsupported, "the collection is the data directory")
	}
	rules := readRules(c.cfg.Docs)
	if name == "" || rules.ignore(path.Join(collection, name), false) || collection != "" && rules.ignore(collection, true) {
		return parse.Errorf(parse.Unsupported, "the folder ignores files of that name")
	}
	return nil
}

// stage writes r to a file that is ignored, durably, and returns its name and SHA-256.
func stage(ctx context.Context, root *os.Root, r io.Reader) (temp, sum string, err error) {
	temp = staged + strings.ToLower(rand.Text()) + ".tmp"
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), heeding{ctx, r})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", "", errors.Join(err, root.Remove(temp))
	}
	return temp, hex.EncodeToString(h.Sum(nil)), nil
}

// settleIn gives a staged file its name, or another one if that is taken by
// another content. Nothing is ever overwritten.
func (c *Corpus) settleIn(ctx context.Context, root *os.Root, temp, name, sum string) (found, error) {
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o755); err != nil {
		return found{}, err
	}
	for n := 1; ; n++ {
		f := found{path: numbered(name, n), sha256: sum}
		err := link(root, temp, f.path)
		if err == nil {
			err = syncDir(root, path.Dir(f.path))
			c.cfg.at("placed")
		} else if errors.Is(err, fs.ErrExist) && n < 1000 {
			if !c.holds(ctx, root, f.path, sum) {
				continue
			}
			err = nil
		}
		if err != nil {
			return f, err
		}
		info, err := root.Lstat(filepath.FromSlash(f.path))
		if err != nil {
			return f, err
		}
		f.stamp = stampOf(info)
		return f, nil
	}
}

// link moves a file to a name that nothing has; otherwise the error is [fs.ErrExist].
func link(root *os.Root, temp, name string) error {
	name = filepath.FromSlash(name)
	err := root.Link(temp, name)
	if err == nil {
		return root.Remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// Where the file system has no hard links, the name is reserved first.
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err = errors.Join(f.Close(), root.Rename(temp, name)); err != nil {
		return errors.Join(err, root.Remove(name))
	}
	return nil
}

// holds reports whether a file has that content.
func (c *Corpus) holds(ctx context.Context, root *os.Root, name, sum string) bool {
	info, err := root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return false
	}
	found, err := hashFile(ctx, root, name, stampOf(info))
	return err == nil && found == sum
}

// numbered is name, "name (2).ext", "name (3).ext" and so on.
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	dir, base := path.Split(name)
	return fmt.Sprintf("%s%s (%d)%s", dir, stem(base), n, strings.TrimPrefix(base, stem(base)))
}
