package ingest

import (
	"context"
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
)

// A stamp tells two versions of a file apart without reading it.
type stamp struct {
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime_ns"`
	CTime int64  `json:"ctime_ns,omitempty"`
	Inode uint64 `json:"inode,omitempty"`
}

func stampOf(info fs.FileInfo) stamp {
	s, _ := stamp{Size: info.Size(), MTime: info.ModTime().UnixNano()}.system(info)
	return s
}

// newest is when the file last changed, in nanoseconds.
func (s stamp) newest() int64 { return max(s.MTime, s.CTime) }

// A tree is what one look at the folder found.
type tree struct {
	files map[string]stamp // by path below the folder, slash-separated
	blind []string         // paths that could not be looked at: nothing is known of them and what is below
	root  string           // identity of the folder; empty where the system has none
}

// hidden reports that nothing is known of a path.
func (t *tree) hidden(name string) bool {
	for _, dir := range t.blind {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// A walk looks at the folder without opening a file.
type walk struct {
	dir   string           // the folder
	data  string           // the data directory, which may be below it
	enter func(dir string) // is told of each directory before it is read; may be nil

	tree
	rules  rules
	device uint64
}

// look walks the folder. Its error means that the folder itself cannot be read.
func (w *walk) look(ctx context.Context) (tree, error) {
	info, err := os.Stat(w.dir)
	if err != nil {
		return tree{}, err
	}
	s, device := stamp{}.system(info)
	if s.Inode != 0 {
		w.root = fmt.Sprintf("%d:%d", device, s.Inode)
	}
	w.device, w.files, w.rules = device, map[string]stamp{}, readRules(w.dir)
	err = w.descend(ctx, "")
	return w.tree, err
}

func (w *walk) descend(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	full := filepath.Join(w.dir, filepath.FromSlash(dir))
	if full == w.data {
		return nil
	}
	if w.enter != nil {
		w.enter(full)
	}
	entries, err := os.ReadDir(full)
	if err != nil && dir == "" {
		return err
	}
	if err != nil {
		w.blind = append(w.blind, dir)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if w.rules.ignore(name, e.IsDir()) || !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if err := w.visit(ctx, name, e); err != nil {
			return err
		}
	}
	return nil
}

// visit notes a file, or goes down into a directory of the same device.
func (w *walk) visit(ctx context.Context, name string, e fs.DirEntry) error {
	info, err := e.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		w.blind = append(w.blind, name)
		return nil //nolint:nilerr // it is noted
	case !e.IsDir():
		w.files[name] = stampOf(info)
		return nil
	}
	if _, device := (stamp{}).system(info); device != w.device {
		return nil
	}
	return w.descend(ctx, name)
}

// A found file is one that was read for its hash, or could not be.
type found struct {
	path string
	stamp
	sha256  string
	problem *Problem // why there is no hash
}

// id is that of the document the file is.
func (f found) id() string {
	if f.sha256 != "" {
		return f.sha256[:32]
	}
	sum := sha256.Sum256([]byte("unread:" + f.path))
	return hex.EncodeToString(sum[:16])
}

// errMoved means that a file changed while it was read.
var errMoved = errors.New("the file is changing")

// openQuiet opens a regular file that still has the stamp.
func openQuiet(root *os.Root, name string, want stamp) (*os.File, error) {
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|careful, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || stampOf(info) != want) {
		err = errMoved
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// hashFile reads a file for its SHA-256, in lower-case hex.
func hashFile(ctx context.Context, root *os.Root, name string, want stamp) (string, error) {
	f, err := openQuiet(root, name, want)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, heeding{ctx, f}); err != nil {
		return "", err
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if stampOf(info) != want {
		return "", errMoved
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// quietAt reports whether the path is a regular file with the stamp.
func quietAt(root *os.Root, name string, want stamp) bool {
	info, err := root.Lstat(filepath.FromSlash(name))
	return err == nil && info.Mode().IsRegular() && stampOf(info) == want
}

// A heeding reader ends with its context.
type heeding struct {
	ctx context.Context //nolint:containedctx // it lives for one call, as [io.Reader] takes none
	r   io.Reader
}

func (r heeding) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// stem is the name of a file without its ending.
func stem(name string) string {
	base := path.Base(name)
	if short := strings.TrimSuffix(base, path.Ext(base)); short != "" {
		return short
	}
	return base
}
