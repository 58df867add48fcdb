package sidecar

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// The locks name every package of an environment with its hashes, for every system. To renew one, see its head.
//
//go:embed python/*.lock
var locks embed.FS

// A Profile names an environment of Python packages that a kind of worker runs in.
type Profile string

// The profiles. What hears on a GPU or an NPU has one of its own, as it needs more: NVIDIA's libraries take 2 GB. Each
// of them hears on the CPU as well.
const (
	ProfileOCR        Profile = "ocr-cpu"
	ProfileSpeech     Profile = "speech-cpu"
	ProfileSpeechCUDA Profile = "speech-cuda12"
	ProfileSpeechNPU  Profile = "speech-npu"
)

// speechProfiles are those that hear, the ones that can do more first.
var speechProfiles = []Profile{ProfileSpeechCUDA, ProfileSpeechNPU, ProfileSpeech}

// ready is the file that is put into an environment when all of it is there.
const ready = ".ready"

// lock is the text of the profile's lock.
func (p Profile) lock() []byte {
	text, err := locks.ReadFile("python/requirements-" + string(p) + ".lock")
	if err != nil {
		panic("sidecar: " + err.Error()) // every profile's is embedded, which is tested
	}
	return text
}

// Dir is where below envs the profile's environment lies. Another lock is another directory: an environment is never changed.
func (p Profile) Dir(envs string) string {
	sum := sha256.Sum256(p.lock())
	return filepath.Join(envs, fmt.Sprintf("%s-%s", p, hex.EncodeToString(sum[:])[:12]))
}

// Interpreter is the Python of the profile's environment below envs, "" where there is none or only a part of it.
func (p Profile) Interpreter(envs string) string {
	dir := p.Dir(envs)
	if _, err := os.Stat(filepath.Join(dir, ready)); err != nil {
		return ""
	}
	return interpreter(dir)
}

// interpreter is that of a virtual environment.
func interpreter(env string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(env, "Scripts", "python.exe")
	}
	return filepath.Join(env, "bin", "python")
}

// python is the interpreter for a kind of worker: the one that is set, be it a
// program or a virtual environment, else that of the first of the profiles that is
// there. It is looked up at each start of a worker, and is "" where there is none.
func (c Config) python(profiles ...Profile) string {
	if c.Python != "" {
		if at, err := os.Stat(c.Python); err == nil && at.IsDir() {
			return interpreter(c.Python)
		}
		return c.Python
	}
	if c.Environments == "" {
		return ""
	}
	for _, p := range profiles {
		if found := p.Interpreter(c.Environments); found != "" {
			return found
		}
	}
	return ""
}
