package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/natefinch/atomic"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A scanCache keeps what OCR read, as <dir>/<id>/<page>.json. It may be deleted
// at any time, which costs reading the pages again.
type scanCache struct {
	dir string
	key string // of the settings that pages are read with
}

// A keptPage is what came of a page: its text, or how often it failed and why.
type keptPage struct {
	Key    string             `json:"key"`
	Page   *parse.ScannedPage `json:"page,omitempty"`
	Again  bool               `json:"again,omitempty"` // Page stands only until it is read anew
	Failed int                `json:"failed,omitempty"`
	Why    *parse.Error       `json:"why,omitempty"`
	// Begun is how often it was begun and neither came to an end nor was stopped: this program ended over it.
	Begun int `json:"begun,omitempty"`
}

func (s *scanCache) file(id string, n int) string {
	return filepath.Join(s.dir, id, strconv.Itoa(n)+".json")
}

// read returns what is kept; of what cannot be read, nothing. What other settings read badly is to be read again, and
// that they failed does not count.
func (s *scanCache) read(id string, n int) keptPage {
	var k keptPage
	raw, err := os.ReadFile(s.file(id, n))
	if err != nil || json.Unmarshal(raw, &k) != nil {
		return keptPage{}
	}
	if k.Key != s.key {
		k = keptPage{Page: k.Page, Again: k.Again || k.Page != nil && improvable(*k.Page)}
	}
	return k
}

// settled reports whether a page need not be read any more.
func (k keptPage) settled() bool { return k.Page != nil && !k.Again }

// improvable reports whether it is worth reading a page anew: it is doubted, or was read while a better engine did not run.
func improvable(p parse.ScannedPage) bool { return p.Stopgap || doubted(p) }

// doubted reports whether a page was read so badly that other settings, or another engine, may do better.
func doubted(p parse.ScannedPage) bool { return len(p.Lines) > 0 && p.Confidence < lowConfidence }

// again has pages read anew.
func (s *scanCache) again(id string, pages []int) error {
	var errs []error
	for _, n := range pages {
		if k := s.read(id, n); k.Page != nil {
			errs = append(errs, s.write(id, n, keptPage{Page: k.Page, Again: true}))
		}
	}
	return errors.Join(errs...)
}

func (s *scanCache) write(id string, n int, k keptPage) error {
	k.Key = s.key
	raw, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, id), 0o700); err != nil {
		return err
	}
	return atomic.WriteFile(s.file(id, n), bytes.NewReader(raw))
}

// drop forgets a page. That it may not be there, or stay, does not matter.
func (s *scanCache) drop(id string, n int) { _ = os.Remove(s.file(id, n)) }

// forgetUnknown deletes what a cache, whose directories bear the ids of
// documents, keeps of those that are not known any more.
func forgetUnknown(cache string, known func(id string) bool) error {
	entries, err := os.ReadDir(cache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !known(e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(cache, e.Name())))
		}
	}
	return err
}
