package sidecar

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

const (
	suryaAlias = "datalab-to/surya-ocr-2" // what the server calls the model, as in Surya's own code
	// suryaContext is an image (2 to 4 thousand tokens) and the longest answer. Surya warns of less: pages are then cut off in silence.
	suryaContext = 12288
	suryaModel   = "surya-2.gguf"
	suryaEyes    = "surya-2-mmproj.gguf" // the image encoder
	portTries    = 5
	readyEvery   = 100 * time.Millisecond
)

// A llama is a llama-server of llama.cpp with Surya's model. It serves one call at a time.
type llama struct {
	process *subprocess.Process
	url     string
	key     string // without it nobody else on this machine gets an answer
	onGPU   bool
	limits  limits
}

// llamaArguments are those of Surya's own code, for one page at a time. Source: surya 0.20, inference/backends/llamacpp.py.
func llamaArguments(models string, port int, onGPU bool, threads int) []string {
	device := []string{"-ngl", "99"}
	if !onGPU {
		device = []string{"-ngl", "0", "--no-mmproj-offload", "--threads", strconv.Itoa(threads)}
	}
	return slices.Concat(
		[]string{"-m", filepath.Join(models, suryaModel), "--mmproj", filepath.Join(models, suryaEyes)}, device,
		[]string{
			"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--parallel", "1", "--ctx-size", strconv.Itoa(suryaContext),
			"--alias", suryaAlias, "--jinja",
		})
}

// llamaEnvironment is for what older servers have no flag for: they ignore variables that they do not know. Without
// the limit up to 8 GB of RAM would fill with the states of earlier pages, which never come again.
func llamaEnvironment(binary, key string, onGPU bool) []string {
	env := []string{
		"LLAMA_API_KEY=" + key, "LLAMA_ARG_CACHE_RAM=0", "LLAMA_ARG_OFFLINE=1", "LD_LIBRARY_PATH=" + filepath.Dir(binary),
		"GGML_NO_BACKTRACE=1", // its last words are then why it ended, not where
	}
	if !onGPU {
		env = append(env, "CUDA_VISIBLE_DEVICES=") // even with no layer there a build for CUDA takes 700 MB of the card
	}
	return env
}

// startLlama starts a llama-server and waits until it has loaded its model. When another program takes the port that
// was free a moment ago, it tries the next one.
func startLlama(ctx context.Context, cfg subprocess.Config, models string, p hwplan.Placement, limits limits) (*llama, error) {
	binary := cfg.Command[0]
	for try := 1; ; try++ {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		l := &llama{url: "http://127.0.0.1:" + strconv.Itoa(port), key: rand.Text(), onGPU: p.Device == hwplan.OnGPU, limits: limits}
		cfg.Command = slices.Concat([]string{binary}, llamaArguments(models, port, l.onGPU, threads(p)))
		cfg.Env = slices.Concat(offline, llamaEnvironment(binary, l.key, l.onGPU))
		if l.process, err = subprocess.Start(cfg); err != nil {
			return nil, fmt.Errorf("llama-server: %w", err)
		}
		go func() { _, _ = io.Copy(io.Discard, l.process.Stdout) }() // it logs to stderr; the pipe ends with the process
		err = l.ready(ctx)
		if err == nil {
			return l, nil
		}
		l.process.Close()
		if try == portTries || !strings.Contains(err.Error(), "couldn't bind") {
			return nil, err
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("a port for llama-server: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// ready waits until the server says that it can work, and is the one that was started.
func (l *llama) ready(ctx context.Context) error {
	look := time.NewTicker(readyEvery)
	defer look.Stop()
	limit := time.NewTimer(l.limits.load)
	defer limit.Stop()
	for {
		select {
		case <-l.process.Ended():
			return l.death()
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return &diedError{why: fmt.Sprintf("llama-server is not ready within %s: %s", l.limits.load, l.process.LastWords())}
		case <-look.C:
			if l.get(ctx, "/health", &struct{}{}) == nil {
				return l.identify(ctx)
			}
		}
	}
}

// identify makes sure that what answers on the port has the model and knows the key: pages are sent to nobody else.
// A server that needs no key takes any, so /props is asked for with a wrong one, too. (/health needs none, and
// /v1/models does not in all versions.)
func (l *llama) identify(ctx context.Context) error {
	var models struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := l.get(ctx, "/v1/models", &models); err != nil && !errors.Is(err, errKey) {
		return &diedError{why: "llama-server does not name its model: " + err.Error()}
	}
	named := len(models.Data) == 1 && models.Data[0].ID == suryaAlias
	other := &llama{url: l.url, key: rand.Text()}
	keyed := l.get(ctx, "/props", &struct{}{}) == nil && errors.Is(other.get(ctx, "/props", &struct{}{}), errKey)
	if !named || !keyed || !l.process.Alive() {
		return &diedError{why: "couldn't bind: another server answers on its port"}
	}
	return nil
}

// errKey means that a server wants another key.
var errKey = errors.New("HTTP 401")

// version is of llama.cpp; "" where the server does not tell.
func (l *llama) version(ctx context.Context) string {
	var props struct {
		Build string `json:"build_info"`
	}
	if l.get(ctx, "/props", &props) != nil {
		return ""
	}
	return props.Build
}

// quickly bounds a question that needs no computing.
const quickly = 5 * time.Second

func (l *llama) get(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, quickly)
	defer cancel()
	resp, err := l.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return errKey
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(answer)
}

// toServer goes straight to this machine, through no proxy, and follows nowhere.
var toServer = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (l *llama) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, l.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+l.key)
	req.Header.Set("Content-Type", "application/json")
	return toServer.Do(req)
}

// death is why the process has ended, with its last words.
func (l *llama) death() error {
	<-l.process.Ended()
	why := "llama-server ended"
	if state := l.process.State(); state != nil && !state.Success() {
		why = "llama-server: " + state.String()
	}
	if last := l.process.LastWords(); last != "" {
		why += ": " + last
	}
	return &diedError{why: why}
}

func (l *llama) ended() <-chan struct{} { return l.process.Ended() }

// stop ends the server. It has nothing to put in order, and its memory is free when it has ended.
func (l *llama) stop() { l.process.Close() }

// llamaVersion asks a llama-server what it is, which also shows whether it finds its libraries.
func llamaVersion(ctx context.Context, binary string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, quickly)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "--version")
	cmd.Env, cmd.WaitDelay = subprocess.Environment(os.TempDir(), llamaEnvironment(binary, "", false)), time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("llama-server does not start: %w: %s", err, lastLine(out))
	}
	for line := range strings.Lines(string(out)) {
		if version, ok := strings.CutPrefix(line, "version: "); ok {
			return "llama.cpp " + strings.TrimSpace(version), nil
		}
	}
	return "llama.cpp", nil
}

// lastLine is the last that says something.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(out), "?")), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// findLlama looks up the server and the files of its model. The error wraps [ErrMissing].
func findLlama(server, models string) (string, error) {
	for _, name := range []string{suryaModel, suryaEyes} {
		info, err := os.Stat(filepath.Join(models, name))
		if models == "" || errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			return "", fmt.Errorf("%w: Surya's model: %s is not in %s; `acervo setup surya` fetches it", ErrMissing, name, models)
		}
		if err != nil {
			return "", fmt.Errorf("%w: Surya's model: %w", ErrMissing, err)
		}
	}
	binary, err := lookUp(server)
	if err != nil {
		return "", fmt.Errorf("%w: llama-server, which runs Surya: install llama.cpp, or name its file in ocr.llama_server", ErrMissing)
	}
	return binary, nil
}
