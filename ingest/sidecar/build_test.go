package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
)

var profiles = []Profile{ProfileOCR, ProfileSpeech, ProfileSpeechCUDA, ProfileSpeechNPU}

// toolVariable makes the test binary, started under the name of a tool, behave in one way.
const toolVariable = "ACERVO_FAKE_TOOL"

// fakeTool is uv, a system's Python, or the Python of the environment that either makes.
func fakeTool(name string, args []string) int {
	behaviour := os.Getenv(toolVariable)
	if behaviour == "" { // it is the one of an environment, which sees but a part of the variables
		kept, _ := os.ReadFile(behaviourFile(filepath.Dir(filepath.Dir(os.Args[0]))))
		behaviour = string(kept)
	}
	command := strings.Join(args, " ")
	switch {
	case strings.Contains(command, "version_info"):
		fmt.Println(map[bool]string{true: "3 8", false: "3 12"}[behaviour == "old"])
	case strings.Contains(command, "ensurepip"):
		if behaviour == "bare" {
			return 1
		}
		fmt.Println(1)
	case strings.Contains(command, "venv "):
		return fakeVenv(args[len(args)-1])
	case strings.Contains(command, "pip "):
		return fakePip(behaviour, args[len(args)-1])
	case strings.Contains(command, "import "):
		if behaviour == "broken" {
			fmt.Fprintln(os.Stderr, "ImportError: libGL.so.1: cannot open shared object file")
			return 1
		}
	default:
		fmt.Fprintf(os.Stderr, "fake %s does not know %q\n", name, command)
		return 2
	}
	return 0
}

func behaviourFile(env string) string { return filepath.Join(env, "behaviour") }

func fakeVenv(dir string) int {
	self, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(interpreter(dir)), 0o700)
	}
	if err == nil {
		err = os.Symlink(self, interpreter(dir))
	}
	if err == nil {
		err = os.WriteFile(behaviourFile(dir), []byte(os.Getenv(toolVariable)), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func fakePip(behaviour, list string) int {
	switch behaviour {
	case "offline":
		fmt.Fprintln(os.Stderr, "error: Failed to fetch: `…/certifi/`\n  Caused by: dns error: failed to lookup address information")
		return 1
	case "tampered":
		fmt.Fprintln(os.Stderr, "error: Hash mismatch for `certifi==1.0`")
		return 1
	case "none":
		fmt.Fprintln(os.Stderr, "ERROR: No matching distribution found for onnxruntime==1.32.0")
		return 1
	case "killed":
		os.Exit(137)
	}
	if _, err := os.ReadFile(list); err != nil {
		return 1
	}
	fmt.Println(" + rapidocr")
	return 0
}

// tools puts fake tools, and no others, on the PATH.
func tools(t *testing.T, behaviour string, names ...string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the fake tools are links")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv(toolVariable, behaviour)
}

func TestBuild(t *testing.T) {
	for _, tool := range []string{"uv", "python3"} {
		t.Run(tool, func(t *testing.T) {
			tools(t, "good", tool)
			envs := filepath.Join(t.TempDir(), "envs")
			for _, stale := range []string{"ocr-cpu-000000000000", "speech-cpu-000000000000"} { // of older locks
				if err := os.MkdirAll(filepath.Join(envs, stale), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			// What a killed set-up left.
			if err := os.MkdirAll(filepath.Join(ProfileOCR.Dir(envs), "half"), 0o700); err != nil {
				t.Fatal(err)
			}
			if found := ProfileOCR.Interpreter(envs); found != "" {
				t.Errorf("half an environment counts: %s", found)
			}
			var lines []string
			if err := Build(t.Context(), ProfileOCR, envs, func(line string) { lines = append(lines, line) }); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(ProfileOCR.Interpreter(envs)); err != nil {
				t.Error(err)
			}
			if !slices.Contains(lines, "+ rapidocr") {
				t.Errorf("said %q", lines)
			}
			left, _ := filepath.Glob(filepath.Join(envs, "*"))
			if want := []string{ProfileOCR.Dir(envs), filepath.Join(envs, "speech-cpu-000000000000")}; !slices.Equal(left, want) {
				t.Errorf("there are %q, want %q", left, want)
			}
			if _, err := os.Stat(filepath.Join(ProfileOCR.Dir(envs), "half")); !errors.Is(err, fs.ErrNotExist) {
				t.Error("what was unfinished is still there")
			}
			t.Setenv("PATH", "") // nothing is started when it is there
			if err := Build(t.Context(), ProfileOCR, envs, nil); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func TestBuildFails(t *testing.T) {
	for _, tt := range []struct{ behaviour, tool, says string }{
		{"offline", "uv", "the package index cannot be reached"},
		{"tampered", "uv", "a package is not the one that it should be"},
		{"none", "python3", "no packages for this system and Python"},
		{"killed", "python3", "exit status 137"},
		{"broken", "uv", "do not start on this machine: python: ImportError: libGL.so.1"},
		{"old", "python3", "install uv"},
		{"bare", "python3", "apt install python3-venv"},
		{"good", "nothing", "neither uv nor a Python 3.11 to 3.14"},
	} {
		t.Run(tt.behaviour+" "+tt.tool, func(t *testing.T) {
			tools(t, tt.behaviour, tt.tool)
			envs := t.TempDir()
			err := Build(t.Context(), ProfileOCR, envs, nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one with %q", err, tt.says)
			}
			if left, _ := os.ReadDir(envs); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

func TestBuildStops(t *testing.T) {
	tools(t, "good", "uv")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Build(ctx, ProfileOCR, t.TempDir(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestLocks holds the locks to what set-up relies on: exact versions, a hash for each, and no index.
func TestLocks(t *testing.T) {
	requirement := regexp.MustCompile(`^[a-z0-9-]+==\S+( ; [^\\]+)? \\$`)
	hash := regexp.MustCompile(`^    --hash=sha256:[0-9a-f]{64}( \\)?$`)
	dirs := map[string]bool{}
	for _, p := range profiles {
		dirs[p.Dir("envs")] = true
		if imports[p] == "" {
			t.Errorf("%s is not tried when it is built", p)
		}
		n := 0
		for line := range strings.Lines(string(p.lock())) {
			line = strings.TrimRight(line, "\n")
			switch {
			case strings.HasPrefix(line, "#"):
			case requirement.MatchString(line):
				n++
			case !hash.MatchString(line):
				t.Errorf("%s: %q", p, line)
			}
		}
		if n < 10 || bytes.Contains(p.lock(), []byte("://")) {
			t.Errorf("%s has %d packages, or names a host", p, n)
		}
	}
	if len(dirs) != len(profiles) {
		t.Errorf("two profiles share a directory: %v", dirs)
	}
}

func TestPython(t *testing.T) {
	dir := t.TempDir()
	built := func(p Profile) string {
		if err := os.MkdirAll(p.Dir(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Dir(dir), ready), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return interpreter(p.Dir(dir))
	}
	c := Config{Environments: dir}
	want := func(what, want string) {
		t.Helper()
		if got := c.python(speechProfiles...); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	want("nothing built", "")
	built(ProfileOCR)
	want("only another built", "")
	want("on the CPU", built(ProfileSpeech))
	want("on the NPU", built(ProfileSpeechNPU))
	want("on the GPU", built(ProfileSpeechCUDA))
	c.Python = "python3"
	want("a program named", "python3")
	c.Python = dir
	want("a directory named", interpreter(dir))
}

func TestCUDALibraries(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the layout is another there")
	}
	env := t.TempDir()
	var want []string
	for _, lib := range []string{"cublas", "cudnn"} {
		path := filepath.Join(env, "lib", "python3.12", "site-packages", "nvidia", lib, "lib")
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	onGPU := hwplan.Placement{Device: hwplan.OnGPU}
	if got := cudaLibraries(interpreter(env), onGPU); len(got) != 1 || got[0] != "LD_LIBRARY_PATH="+strings.Join(want, ":") {
		t.Errorf("on the GPU: %q", got)
	}
	t.Chdir(filepath.Dir(env)) // the worker is started elsewhere
	relative := interpreter(filepath.Base(env))
	if got := cudaLibraries(relative, onGPU); len(got) != 1 || got[0] != "LD_LIBRARY_PATH="+strings.Join(want, ":") {
		t.Errorf("of %s: %q, want %q", relative, got, want)
	}
	if got := cudaLibraries(interpreter(env), hwplan.Placement{Device: hwplan.OnCPU}); got != nil {
		t.Errorf("on the CPU: %q", got)
	}
}
