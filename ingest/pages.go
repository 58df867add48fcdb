package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/natefinch/atomic"
)

// Page returns page n (from 1) of a document as a PNG. A document that has no
// pages, or not that one, is [ErrNoPage]; one whose file is gone [ErrNotFound].
func (c *Corpus) Page(ctx context.Context, id string, n int) ([]byte, error) {
	r := c.ledger.row(id)
	switch {
	case r == nil || r.Status == Removed:
		return nil, ErrNotFound
	case n < 1 || n > r.Pages:
		return nil, ErrNoPage
	}
	if image, err := c.pages.read(id, n); err == nil {
		return image, nil
	}
	path, there, err := c.quietPath(r)
	if err != nil {
		return nil, err
	}
	image, err := c.cfg.Reader.Page(ctx, c.cfg.Docs, path, n)
	if err != nil {
		return nil, err
	}
	if !c.quiet(path, there) { // it may be a page of another content
		return nil, ErrNotFound
	}
	if err := c.pages.write(id, n, image); err != nil {
		c.cfg.Log.Warn("a page cannot be kept", "err", err)
	}
	return image, nil
}

// cacheBytes are kept of the images of pages, and as much of the pictures of photos.
const cacheBytes = 512 << 20

// A pageCache keeps images of pages as <dir>/<id>/<n>.png, or .jpg. It may be deleted at any time.
type pageCache struct {
	dir   string
	ext   string // .png or .jpg
	limit int64  // bytes

	mu     sync.Mutex
	writes int
}

func (p *pageCache) file(id string, n int) string {
	return filepath.Join(p.dir, id, strconv.Itoa(n)+p.ext)
}

func (p *pageCache) read(id string, n int) ([]byte, error) { return os.ReadFile(p.file(id, n)) }

// pruneEvery is how many images are written between two checks of the limit.
const pruneEvery = 100

func (p *pageCache) write(id string, n int, image []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(p.dir, id), 0o700); err != nil {
		return err
	}
	if err := atomic.WriteFile(p.file(id, n), bytes.NewReader(image)); err != nil {
		return err
	}
	p.writes++
	if p.writes%pruneEvery != 1 { // at the first, too: few processes write as many
		return nil
	}
	return p.prune()
}

// prune drops the oldest images until three quarters of the limit are left.
func (p *pageCache) prune() error {
	type image struct {
		path string
		size int64
		made time.Time
	}
	var all []image
	var total int64
	err := filepath.WalkDir(p.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		all = append(all, image{path, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	if total <= p.limit {
		return err
	}
	slices.SortFunc(all, func(a, b image) int { return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.path, b.path)) })
	for _, i := range all {
		if total <= p.limit/4*3 {
			break
		}
		err = errors.Join(err, os.Remove(i.path))
		total -= i.size
	}
	return err
}
