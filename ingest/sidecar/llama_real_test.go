package sidecar

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// The flags and variables that Surya's server is started with are known to a real llama-server. No more can be said
// here: no machine of ours has Surya's weights.
func TestRealLlamaKnowsTheFlags(t *testing.T) {
	server := os.Getenv("ACERVO_TEST_LLAMA_SERVER")
	if server == "" {
		t.Skip("ACERVO_TEST_LLAMA_SERVER names no llama-server")
	}
	cmd := exec.CommandContext(t.Context(), server, "--help")
	cmd.Env, cmd.WaitDelay = subprocess.Environment(t.TempDir(), llamaEnvironment(server, "", false)), time.Second
	help, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %.300s", err, help)
	}
	known := strings.FieldsFunc(string(help), func(r rune) bool { return strings.ContainsRune(" ,\n()", r) })
	words := map[string]bool{}
	for _, word := range known {
		words[word] = true
	}
	for _, onGPU := range []bool{true, false} {
		for _, argument := range llamaArguments("models", 1, onGPU, 2) {
			if strings.HasPrefix(argument, "-") && !words[argument] {
				t.Errorf("it does not know %s", argument)
			}
		}
	}
	for _, name := range []string{"LLAMA_API_KEY", "LLAMA_ARG_CACHE_RAM", "LLAMA_ARG_OFFLINE"} {
		if !words[name] {
			t.Errorf("it does not know %s", name)
		}
	}
	version, err := llamaVersion(t.Context(), server)
	if err != nil || !strings.HasPrefix(version, "llama.cpp ") {
		t.Errorf("version %q, %v", version, err)
	}
	t.Log(version)
}
