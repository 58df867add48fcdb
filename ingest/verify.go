package ingest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
)

// Verify proves that folder, ledger and index agree: it reads every file. It
// returns what differs, in sentences, also when repair mended it.
func (c *Corpus) Verify(ctx context.Context, repair bool) ([]string, error) {
	problems, changed, err := c.compareFolder(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.compareIndex(ctx)
	problems = append(problems, found...)
	if err != nil || !repair || len(problems) == 0 {
		return problems, err
	}
	if err := c.forget(ctx, changed); err != nil {
		return problems, err
	}
	if err := c.cfg.Index.Repair(ctx); err != nil {
		return problems, err
	}
	if err := c.resume(ctx); err != nil {
		return problems, err
	}
	_, err = c.Sync(ctx, nil)
	return problems, err
}

// compareFolder compares every file with the ledger. It also returns the paths
// whose content is another though their stamps may not tell.
func (c *Corpus) compareFolder(ctx context.Context) (problems, changed []string, err error) {
	w := walk{dir: c.cfg.Docs, data: c.cfg.Data}
	t, err := w.look(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFolder, err)
	}
	root, err := os.OpenRoot(c.cfg.Docs)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFolder, err)
	}
	defer func() { _ = root.Close() }()
	known := c.ledger.stamps(now())
	for _, path := range slices.Sorted(maps.Keys(known)) {
		if _, there := t.files[path]; !there && !t.hidden(path) {
			problems = append(problems, fmt.Sprintf("%q is in the ledger and not in the folder", path))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(t.files)) {
		e, taken := c.ledger.entry(path)
		if !taken {
			problems = append(problems, fmt.Sprintf("%q is in the folder and not in the ledger", path))
			continue
		}
		f, quiet := c.read(ctx, root, path, t.files[path])
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if !quiet || f.id() != e.Doc {
			problems = append(problems, fmt.Sprintf("%q is not what it was when it was taken", path))
			changed = append(changed, path)
		}
	}
	return problems, changed, nil
}

// compareIndex compares every document with the index, and the index with itself.
func (c *Corpus) compareIndex(ctx context.Context) (problems []string, err error) {
	c.change.Lock()
	defer c.change.Unlock()
	c.replacing.Lock()
	defer c.replacing.Unlock()
	for _, r := range c.ledger.listed() {
		s, indexed := c.cfg.Index.Source(r.ID)
		switch {
		case r.Status == Queued:
			problems = append(problems, fmt.Sprintf("%q waits to be read", r.Paths[0]))
		case r.searchable() && (!indexed || s.Revision != c.revision):
			problems = append(problems, fmt.Sprintf("%q is not in the index as it should be", r.Paths[0]))
		case r.searchable() && !slices.Equal(s.Paths, r.Paths):
			problems = append(problems, fmt.Sprintf("the index knows %q by other paths", r.Paths[0]))
		}
	}
	for _, s := range c.cfg.Index.Sources() {
		if r := c.ledger.row(s.ID); r == nil || !r.searchable() && r.Status != Queued {
			problems = append(problems, fmt.Sprintf("the index holds %q, which the ledger does not", s.Path()))
		}
	}
	inner, err := c.cfg.Index.Verify(ctx)
	return append(problems, inner...), err
}

// forget has paths read anew at the next look, whatever their stamps say.
func (c *Corpus) forget(ctx context.Context, paths []string) error {
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	for _, path := range paths {
		if e, ok := ch.entry(path); ok {
			e.stamp = stamp{}
			ch.point(path, &e)
		}
	}
	return c.apply(ctx, ch, "forgotten")
}
