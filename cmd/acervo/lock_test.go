package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A command that has the data directory for a moment is waited for; a server, or one that keeps it, is told of.
func TestLockWaits(t *testing.T) {
	for name, c := range map[string]struct {
		url   string
		held  time.Duration // by the other, or for ever
		want  string        // of the error
		after time.Duration
	}{
		"a moment":   {"", time.Second, "", time.Second},
		"for long":   {"", time.Hour, "another acervo command (process ", patience},
		"a server":   {"http://127.0.0.1:1", time.Hour, "already runs", 0},
		"not a wait": {"", 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				other, err := lockData(t.Context(), dir)
				if err != nil {
					t.Fatal(err)
				}
				if err := other.announce(c.url); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() {
					time.Sleep(c.held)
					ended <- other.release()
				}()
				synctest.Wait()
				start := time.Now()
				l, err := lockData(t.Context(), dir)
				if waited := time.Since(start); waited < c.after || waited > c.after+100*time.Millisecond {
					t.Errorf("waited %v, want %v", waited, c.after)
				}
				var used *inUseError
				switch {
				case err == nil && c.want == "":
					if err := l.release(); err != nil {
						t.Error(err)
					}
				case c.want == "" || !errors.As(err, &used) || !strings.Contains(err.Error(), c.want):
					t.Errorf("%v, want %q", err, c.want)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
	dir := t.TempDir()
	other, err := lockData(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockData(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("left with %v", err)
	}
	if err := other.release(); err != nil {
		t.Error(err)
	}
}
