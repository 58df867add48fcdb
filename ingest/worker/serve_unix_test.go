//go:build unix

package worker

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// TestServeSpecial refuses what is no file of the folder, without waiting for it.
func TestServeSpecial(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(outside, []byte("a secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link.txt": outside, "up": filepath.Dir(outside), "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	p := newPool(t, "serve", serving)
	for _, path := range []string{"pipe", "link.txt", "up/secret.txt", "loop", "../secret.txt", outside} {
		content, err := p.Parse(t.Context(), root, path, nil)
		wantCode(t, err, parse.NotReadable)
		if content.Text != "" {
			t.Errorf("%s reads %q", path, content.Text)
		}
	}
}
