package subprocess

import (
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// inherited are the variables that a program may see: no keys, no proxies.
var inherited = []string{
	"PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "WINDIR", "LANG", "LC_ALL", "TZ", "TESSDATA_PREFIX", "CUDA_VISIBLE_DEVICES",
}

// Environment is what a program sees that puts its temporary files into dir.
func Environment(dir string, more []string) []string {
	env := []string{"TMPDIR=" + dir, "TMP=" + dir, "TEMP=" + dir}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains(inherited, strings.ToUpper(name)) {
			env = append(env, pair)
		}
	}
	return append(env, more...)
}

// tailBytes are kept of what a program writes to its stderr.
const tailBytes = 4 << 10

// A Tail keeps the end of what is written to it.
type Tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept = append(t.kept, p...); len(t.kept) > tailBytes {
		t.kept = append([]byte(nil), t.kept[len(t.kept)-tailBytes:]...)
	}
	return len(p), nil
}

// String is the last three lines that are not empty, in one, cut to 300 bytes a line.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var last []string
	for line := range strings.Lines(strings.ToValidUTF8(string(t.kept), "?")) {
		if line = strings.TrimSpace(line); line != "" {
			last = append(last, short(line, 300))
		}
	}
	return strings.Join(last[max(0, len(last)-3):], " | ")
}

// short cuts s to n bytes, at a character.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
