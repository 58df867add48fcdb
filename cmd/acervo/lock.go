package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// A dataLock keeps a second writer off a data directory. Beside the lock
// stands holder.json, which says who holds it and where it can be asked.
type dataLock struct {
	flock  *flock.Flock
	holder string
}

// A holder is the program that has locked a data directory.
type holder struct {
	PID int    `json:"pid"`
	URL string `json:"url,omitempty"` // of a server, once it listens
}

// An inUseError says that another program holds the data directory.
type inUseError struct {
	dir string
	holder
}

func (e *inUseError) Error() string {
	if e.URL != "" {
		return fmt.Sprintf("an Acervo server already runs on %s, at %s (process %d); use that one, or stop it first", e.dir, e.URL, e.PID)
	}
	return fmt.Sprintf("another acervo command (process %d) is using %s; try again when it has ended", e.PID, e.dir)
}

// patience is how long a data directory is waited for that no server is seen to hold: a command that lists has it for a
// moment, and so has a server that is not listening yet.
const patience = 3 * time.Second

// lockData locks dir, or fails with an [inUseError] where another program keeps it.
func lockData(ctx context.Context, dir string) (*dataLock, error) {
	l := &dataLock{flock: flock.New(filepath.Join(dir, "lock")), holder: filepath.Join(dir, "holder.json")}
	for start := time.Now(); ; {
		ok, err := l.flock.TryLock()
		switch {
		case err != nil:
			return nil, fmt.Errorf("the data directory cannot be locked: %w", err)
		case ok:
			return l, l.announce("")
		}
		if h := readHolder(dir); h.URL != "" || time.Since(start) > patience {
			return nil, &inUseError{dir: dir, holder: h}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// announce writes who holds the lock, and its URL if it serves.
func (l *dataLock) announce(url string) error {
	raw, err := json.Marshal(holder{PID: os.Getpid(), URL: url})
	if err != nil {
		return err
	}
	return os.WriteFile(l.holder, raw, 0o600)
}

func (l *dataLock) release() error {
	if err := os.Remove(l.holder); err != nil && !os.IsNotExist(err) {
		return err
	}
	return l.flock.Unlock()
}

// readHolder returns what is known of the program that holds the lock; it may just have started.
func readHolder(dir string) holder {
	var h holder
	if raw, err := os.ReadFile(filepath.Join(dir, "holder.json")); err == nil {
		_ = json.Unmarshal(raw, &h) // a half-written one says nothing
	}
	return h
}

// connect returns a client of the server that runs on the data directory, or
// serves the data within this process. close ends what it started.
func connect(ctx context.Context, o *overrides, work work) (c *client, closeAll func() error, err error) {
	cfg, _, err := loadConfig(*o)
	if err != nil {
		return nil, nil, err
	}
	local, err := serveLocally(ctx, cfg, work)
	if err == nil {
		return local.client, local.stop, nil
	}
	running, ok := asInUse(err)
	if !ok {
		return nil, nil, err
	}
	c = &client{base: running.URL, http: &http.Client{Transport: &http.Transport{
		Proxy: nil, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	}}}
	if err := c.call(ctx, http.MethodGet, "/healthz", nil, nil); err != nil {
		return nil, nil, fmt.Errorf("the server on %s (process %d) does not answer: %w", cfg.Data, running.PID, err)
	}
	return c, func() error { c.http.CloseIdleConnections(); return nil }, nil
}
