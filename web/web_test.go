package web

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func page(t *testing.T) map[string]string {
	t.Helper()
	text := map[string]string{}
	names, err := fs.Glob(Files(), "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(b)
	}
	return text
}

func TestReferencesExist(t *testing.T) {
	files := page(t)
	used := map[string]bool{"index.html": true}
	for name, pattern := range map[string]string{"index.html": `(?:href|src)="([^"#]+)"`, ".js": `(?:from|import) "\./([^"]+)"`, ".css": `url\(["']?([^"')]+)`} {
		for file, text := range files {
			if !strings.HasSuffix(file, name) {
				continue
			}
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
				if _, ok := files[m[1]]; !ok {
					t.Errorf("%s refers to %s, which is not there", file, m[1])
				}
				used[m[1]] = true
			}
		}
	}
	for name := range files {
		if !used[name] {
			t.Errorf("nothing refers to %s", name)
		}
	}
}

// TestPolicy keeps the page within its content security policy, and document text out of HTML.
func TestPolicy(t *testing.T) {
	for name, text := range page(t) {
		for what, pattern := range map[string]string{
			"inline style or handler": `(?i)<[^>]+\s(style|on[a-z]+)\s*=`, "inline script": `(?i)<script[^>]*>[^<]`, "inline sheet": `(?i)<style`,
			"another host": `(?i)https?://(?:[^w]|w[^w]|www\.[^w])`, "text as HTML": `innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`,
			"style attribute": `setAttribute\("style"`,
		} {
			if found := regexp.MustCompile(pattern).FindString(text); found != "" {
				t.Errorf("%s: %s: %q", name, what, found)
			}
		}
	}
}

// TestIdsAndWords checks that what the scripts look up is in the page, and each text in both languages.
func TestIdsAndWords(t *testing.T) {
	files := page(t)
	scripts := ""
	for name, text := range files {
		if strings.HasSuffix(name, ".js") {
			scripts += text
		}
	}
	for _, m := range regexp.MustCompile(`\$\("([^"]+)"\)`).FindAllStringSubmatch(scripts, -1) {
		if !strings.Contains(files["index.html"], `id="`+m[1]+`"`) {
			t.Errorf("there is no element %s", m[1])
		}
	}
	spanish, english, _ := strings.Cut(files["language.js"], "\n  en: {")
	english, _, _ = strings.Cut(english, "\n  },")
	names := regexp.MustCompile(`(\w+): "`) // also of those that scripts put together: mode_gpu
	for _, m := range names.FindAllStringSubmatch(spanish+english, -1) {
		if key := regexp.MustCompile(`\b` + m[1] + `: "`); !key.MatchString(spanish) || !key.MatchString(english) {
			t.Errorf("%s has a text in one language only", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\bt\("(\w+)"|data-(?:t|label|placeholder)="(\w+)"`).FindAllStringSubmatch(scripts+files["index.html"], -1) {
		key := regexp.MustCompile(`\b` + m[1] + m[2] + `: "`)
		if !key.MatchString(spanish) || !key.MatchString(english) {
			t.Errorf("%s lacks a text in Spanish or in English", m[1]+m[2])
		}
	}
}

func TestScripts(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	tests, err := filepath.Glob("test/*.test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatal(tests, err)
	}
	if out, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, tests...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
