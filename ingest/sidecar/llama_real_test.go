package sidecar

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// What is said to the stand-in is said to a real llama-server with another model, without an image: it becomes ready, is
// known for the one that was started, and streams an answer with the probabilities of its tokens.
func TestRealLlama(t *testing.T) {
	server, models := os.Getenv("ACERVO_TEST_LLAMA_SERVER"), os.Getenv("ACERVO_TEST_MODELS")
	if server == "" || models == "" || testing.Short() {
		t.Skip("ACERVO_TEST_LLAMA_SERVER and ACERVO_TEST_MODELS name no llama-server and models, or real engines are too slow")
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	bounds := suryaLimits
	l := &llama{url: "http://127.0.0.1:" + strconv.Itoa(port), key: "the key of this test", onGPU: true, limits: bounds}
	arguments := []string{server, "-m", filepath.Join(models, "qwen0.5b.gguf")}
	l.process, err = subprocess.Start(subprocess.Config{
		Command: append(arguments, llamaArguments("", port, true, 0)[4:]...), Name: "llama", Scratch: t.TempDir(),
		Env: append(llamaEnvironment(server, l.key, true), "LLAMA_ARG_REPACK=0"), // on some machines of ours it crashes otherwise
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.stop)
	if err := l.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	request := newChatRequest(nil, samplings[0])
	request.Messages[0].Content = []chatPart{{Type: "text", Text: "Say hola."}}
	request.MaxTokens = 3
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := l.ask(t.Context(), body)
	if err != nil || reply.Text == "" || reply.Confidence <= 0 || reply.Confidence > 1 || !reply.Cut || reply.Loops {
		t.Errorf("reply %+v, %v", reply, err)
	}
	stranger := *l
	stranger.key = "another"
	if _, err := stranger.ask(t.Context(), body); err == nil || !strings.Contains(err.Error(), "HTTP 401") {
		t.Errorf("with another key: %v", err)
	}
	t.Logf("%+v from %s", reply, l.version(t.Context()))
}
