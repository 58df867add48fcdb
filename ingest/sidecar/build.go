package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// The versions of Python that the locks were made for: for all of them every package comes compiled.
const (
	oldestPython = 11 // of Python 3
	newestPython = 14
)

// imports are what must start before an environment counts as built.
var imports = map[Profile]string{
	ProfileOCR:        "import cv2, numpy, onnxruntime, pi_heif, rapidocr",
	ProfileSpeech:     "import av, ctranslate2, faster_whisper, numpy, onnxruntime",
	ProfileSpeechCUDA: "import av, ctranslate2, faster_whisper, numpy, onnxruntime",
	ProfileSpeechNPU:  "import av, ctranslate2, faster_whisper, numpy, onnxruntime, openvino_genai",
}

// Build makes the environment of a profile below envs, with uv where that is
// installed, else with Python's own venv and pip. It uses the network, with the
// user's proxies and package index; every package is checked against the hashes of
// the lock, and none is compiled. Say is given what the tools say, line by line.
//
// What is there already is left alone. What an earlier Build left unfinished is
// removed first: an environment counts only when its last file is written. Others of
// the profile, for older locks, are removed last. No two may build at once.
func Build(ctx context.Context, p Profile, envs string, say func(line string)) error {
	if p.Interpreter(envs) != "" {
		return nil
	}
	dir := p.Dir(envs)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(envs, 0o700); err != nil {
		return err
	}
	b := builder{profile: p, dir: dir, say: say}
	if err := b.build(ctx); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.WriteFile(filepath.Join(dir, ready), nil, 0o600); err != nil {
		return err
	}
	return removeOthers(p, envs)
}

// removeOthers removes the profile's environments that were made for other locks.
func removeOthers(p Profile, envs string) error {
	found, err := filepath.Glob(filepath.Join(envs, string(p)+"-*"))
	for _, dir := range found {
		if dir != p.Dir(envs) {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

// A builder builds one environment, in its place: the scripts in it hold its path.
type builder struct {
	profile Profile
	dir     string
	say     func(line string)
}

func (b builder) build(ctx context.Context) error {
	list := filepath.Join(b.dir, "requirements.lock")
	create, install, err := b.tools(ctx, list)
	if err != nil {
		return err
	}
	b.tell("making an environment of Python")
	if err := b.run(ctx, buildEnvironment(), create); err != nil {
		return err
	}
	if err := os.WriteFile(list, b.profile.lock(), 0o600); err != nil {
		return err
	}
	if err := b.run(ctx, buildEnvironment(), install); err != nil {
		return err
	}
	b.tell("trying it")
	tmp, err := os.MkdirTemp("", "acervo-setup-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // what is left in the temporary directory harms nobody
	err = b.run(ctx, subprocess.Environment(tmp, offline), []string{interpreter(b.dir), "-I", "-c", imports[b.profile]})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("all packages are there, but they do not start on this machine: %w", err)
	}
	return err
}

// tools are the commands that create the environment and install what list names into it.
func (b builder) tools(ctx context.Context, list string) (create, install []string, err error) {
	python := interpreter(b.dir)
	if uv, err := exec.LookPath("uv"); err == nil {
		versions := fmt.Sprintf(">=3.%d,<3.%d", oldestPython, newestPython+1)
		return []string{uv, "venv", "--no-project", "--python", versions, b.dir},
			[]string{uv, "pip", "sync", "--require-hashes", "--no-build", "--python", python, list}, nil
	}
	system, err := findPython(ctx)
	if err != nil {
		return nil, nil, err
	}
	return append(system, "-m", "venv", b.dir),
		[]string{python, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--progress-bar", "off", "-r", list}, nil
}

// pythons are the commands that may be a fitting Python, the usual ones first.
func pythons() [][]string {
	if runtime.GOOS == "windows" {
		found := [][]string{{"python"}}
		for v := newestPython; v >= oldestPython; v-- {
			found = append(found, []string{"py", fmt.Sprintf("-3.%d", v)})
		}
		return found
	}
	found := [][]string{{"python3"}, {"python"}}
	for v := newestPython; v >= oldestPython; v-- {
		found = append(found, []string{fmt.Sprintf("python3.%d", v)})
	}
	return found
}

// findPython returns the command of a Python that can make environments, of a version that the locks are for.
func findPython(ctx context.Context) ([]string, error) {
	var bare string // one that fits but for its venv
	for _, command := range pythons() {
		path, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		command = append([]string{path}, command[1:]...)
		if !prints(ctx, command, "import sys; print(sys.version_info[0], sys.version_info[1])", func(out string) bool {
			var major, minor int
			_, err := fmt.Sscan(out, &major, &minor)
			return err == nil && major == 3 && minor >= oldestPython && minor <= newestPython
		}) {
			continue
		}
		if prints(ctx, command, "import ensurepip, venv; print(1)", func(string) bool { return true }) {
			return command, nil
		}
		bare = path
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if bare != "" {
		return nil, fmt.Errorf("%s lacks venv: install it (on Debian and Ubuntu `apt install python3-venv`), or install uv (docs.astral.sh/uv), then run this again", bare)
	}
	return nil, fmt.Errorf("neither uv nor a Python 3.%d to 3.%d is installed: install uv (docs.astral.sh/uv), which brings a Python of its own, then run this again", oldestPython, newestPython)
}

// prints reports whether a Python runs code and prints what fits.
func prints(ctx context.Context, command []string, code string, fits func(out string) bool) bool {
	cmd := exec.CommandContext(ctx, command[0], append(slices.Clone(command[1:]), "-I", "-c", code)...)
	cmd.Env = buildEnvironment()
	out, err := cmd.Output()
	return err == nil && fits(string(out))
}

// buildEnvironment is the user's own, with proxies and package index, but for what would lead a Python elsewhere.
func buildEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}, strings.ToUpper(name))
	})
	return append(env, "PYTHONNOUSERSITE=1", "PYTHONUNBUFFERED=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "NO_COLOR=1")
}

func (b builder) tell(line string) {
	if b.say != nil {
		b.say(line)
	}
}

// run runs a tool and passes on what it says.
func (b builder) run(ctx context.Context, env, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.WaitDelay = env, 5*time.Second
	said := &saying{each: b.tell}
	cmd.Stdout, cmd.Stderr = said, said // one writer: never written to at once
	err := cmd.Run()
	_, _ = said.Write([]byte("\n")) // the end of its last line
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return explain(filepath.Base(command[0]), err, said.last)
	}
	return nil
}

// What the tools say when the network, or a fitting package, is not there.
var (
	saysOffline = regexp.MustCompile(`(?i)failed to fetch|dns error|name resolution|name or service not known|getaddrinfo|connection (refused|reset|broken|error)|network is unreachable|max retries|connect(ion)? timed out|error sending request|proxyerror`)
	saysNoWheel = regexp.MustCompile(`(?i)no matching distribution|no (usable|matching) wheels|no wheels|no solution found|no interpreter found|not a supported wheel`)
	saysHash    = regexp.MustCompile(`(?i)hash mismatch|do not match the hashes|hashes are required`)
)

// explain puts a tool's failure into words. Last is what it said last.
func explain(tool string, err error, last []string) error {
	said := func(words *regexp.Regexp) string { // the last line with such words, cut
		for _, line := range slices.Backward(last) {
			if words.MatchString(line) {
				runes := []rune(line)
				return string(runes[:min(len(runes), shownRunes)])
			}
		}
		return ""
	}
	if line := said(saysHash); line != "" {
		return fmt.Errorf("a package is not the one that it should be, so none was installed: %s", line)
	}
	if line := said(saysOffline); line != "" {
		return fmt.Errorf("the package index cannot be reached: check the network, or name a proxy in HTTPS_PROXY, then run this again (%s)", line)
	}
	if line := said(saysNoWheel); line != "" {
		return fmt.Errorf("there are no packages for this system and Python: Python 3.%d to 3.%d on Linux with glibc, Windows on x86-64, or macOS 14 on Apple silicon is needed (%s)", oldestPython, newestPython, line)
	}
	if len(last) > 0 {
		return fmt.Errorf("%s: %s", tool, strings.Join(last[max(0, len(last)-3):], " | "))
	}
	return fmt.Errorf("%s: %w", tool, err)
}

// shownRunes are shown of a line in an error.
const shownRunes = 200

// keptLines are kept of what a tool says, and keptRunes of a line.
const keptLines, keptRunes = 40, 300

// saying takes what a tool says, passes on each line, and keeps the last ones.
type saying struct {
	each func(line string)
	last []string
	part []byte
}

func (w *saying) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for {
		i := bytes.IndexByte(w.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := []rune(strings.TrimSpace(strings.ToValidUTF8(string(w.part[:i]), "?")))
		w.part = w.part[i+1:]
		if len(line) == 0 {
			continue
		}
		text := string(line[:min(len(line), keptRunes)])
		w.last = append(w.last[max(0, len(w.last)-keptLines+1):], text)
		w.each(text)
	}
}
