package sidecar

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A suryaBed is a directory with what stands for Surya's model, and a llama-server that is the test binary.
type suryaBed struct {
	models string
	server string
}

func newSuryaBed(t *testing.T, behaviour string) suryaBed {
	t.Helper()
	bed := suryaBed{models: t.TempDir(), server: filepath.Join(t.TempDir(), "llama-server")}
	if runtime.GOOS == "windows" {
		bed.server += ".exe"
	}
	if os.Link(os.Args[0], bed.server) != nil { // on another disk
		program, err := os.ReadFile(os.Args[0])
		if err == nil {
			err = os.WriteFile(bed.server, program, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{suryaModel: "GGUF", suryaEyes: "GGUF", "behaviour": behaviour} {
		if err := os.WriteFile(filepath.Join(bed.models, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return bed
}

// told are the lines that the servers have written down: their command lines, or the requests.
func (b suryaBed) told(t *testing.T, what string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.models, what))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(raw), func(r rune) bool { return r == '\n' })
}

const goodPage = `<div data-label="Page-Header" data-bbox="100 20 900 40">BOE núm. 12</div>
<div data-label="Section-Header" data-bbox="100 60 900 100"><h1>Contrato de arrendamiento</h1></div>
<div data-label="Text" data-bbox="100 120 900 200"><p>La renta es de <b>450 €</b> al mes.</p></div>`

// A fakeLlama is a llama-server that does as it should, or misbehaves in one way. What it says has the shapes of what a
// real one said to TestRealLlama.
type fakeLlama struct {
	models, behaviour string
	arguments         []string
	loaded            time.Time
	asked             atomic.Int32
}

func (f *fakeLlama) value(flag string) string {
	if i := slices.Index(f.arguments, flag); i >= 0 && i+1 < len(f.arguments) {
		return f.arguments[i+1]
	}
	return ""
}

// note appends a line to a file beside the model.
func (f *fakeLlama) note(file string, what any) {
	line, _ := json.Marshal(what)
	out, err := os.OpenFile(filepath.Join(f.models, file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		out.Write(append(line, '\n'))
		out.Close()
	}
}

// first reports whether no server of this model did that before.
func (f *fakeLlama) first() bool { return os.Mkdir(filepath.Join(f.models, "once"), 0o700) == nil }

func serveLlama(arguments []string) {
	if slices.Contains(arguments, "--version") {
		fmt.Fprintln(os.Stderr, "version: 9999 (abcdef0)\nbuilt with GNU 12.2.0 for Linux x86_64")
		return
	}
	f := &fakeLlama{arguments: arguments, loaded: time.Now()}
	f.models = filepath.Dir(f.value("-m"))
	behaviour, _ := os.ReadFile(filepath.Join(f.models, "behaviour"))
	f.behaviour = string(behaviour)
	f.note("arguments", arguments)
	f.note("environment", os.Environ())
	f.note("pids", os.Getpid())
	switch f.behaviour {
	case "slow start":
		f.loaded = f.loaded.Add(400 * time.Millisecond)
	case "never ready":
		f.loaded = f.loaded.Add(time.Hour)
	case "broken":
		fmt.Fprintln(os.Stderr, "error loading model: unknown model architecture: 'qwen35'\nsrv    load_model: failed to load model")
		os.Exit(1)
	case "no memory":
		fmt.Fprintln(os.Stderr, "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 1252.41 MiB on device 0: cudaMalloc failed: out of memory")
		os.Exit(1)
	}
	port := f.value("--port")
	listener, err := net.Listen("tcp", f.value("--host")+":"+port)
	if err != nil || f.behaviour == "taken port" && f.first() {
		fmt.Fprintf(os.Stderr, "srv  llama_server: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: %s\n", port)
		os.Exit(1)
	}
	_ = http.Serve(listener, f.routes())
}

func (f *fakeLlama) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if time.Now().Before(f.loaded) {
			f.refuse(w, http.StatusServiceUnavailable, "Loading model", "unavailable_error")
			return
		}
		io.WriteString(w, `{"status":"ok"}`)
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		alias := f.value("--alias")
		if f.behaviour == "stranger" {
			alias = "llama-3.2"
		}
		json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": []any{map[string]any{"id": alias, "object": "model"}}})
	})
	mux.HandleFunc("GET /props", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"build_info":"b9999-abcdef0"}`) })
	mux.HandleFunc("POST /v1/chat/completions", f.chat)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := os.Getenv("LLAMA_API_KEY")
		if f.behaviour == "another's key" {
			key = "another's"
		}
		public := f.behaviour == "no key" || r.URL.Path == "/health" || r.URL.Path == "/v1/models"
		if !public && r.Header.Get("Authorization") != "Bearer "+key {
			f.refuse(w, http.StatusUnauthorized, "Invalid API Key", "authentication_error")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (f *fakeLlama) refuse(w http.ResponseWriter, code int, message, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": kind, "code": code}})
}

func (f *fakeLlama) chat(w http.ResponseWriter, r *http.Request) {
	var ask chatRequest
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		f.refuse(w, http.StatusBadRequest, err.Error(), "invalid_request_error")
		return
	}
	f.note("requests", describe(ask))
	n := f.asked.Add(1)
	switch f.behaviour {
	case "dies", "dies once":
		if f.behaviour == "dies" || f.first() {
			fmt.Fprintln(os.Stderr, "ggml-cuda.cu:98: CUDA error: an illegal memory access was encountered")
			os.Exit(134)
		}
	case "runs out":
		fmt.Fprintln(os.Stderr, "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 300.00 MiB on device 0: cudaMalloc failed: out of memory")
		os.Exit(1)
	case "says it ran out":
		f.refuse(w, http.StatusInternalServerError, "failed to allocate compute buffers: out of memory", "server_error")
		return
	case "refuses":
		f.refuse(w, http.StatusBadRequest, "the request exceeds the available context size, try increasing it", "exceed_context_size_error")
		return
	case "hangs":
		<-r.Context().Done()
		return
	}
	f.answer(w, r, n)
}

// describe is a request without the bytes of its image, of which it gives the size.
func describe(ask chatRequest) chatRequest {
	for _, message := range ask.Messages {
		for _, part := range message.Content {
			if part.ImageURL != nil {
				data, ok := strings.CutPrefix(part.ImageURL.URL, "data:image/png;base64,")
				config, format, err := image.DecodeConfig(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
				part.ImageURL.URL = fmt.Sprintf("%s %d×%d %v %v", format, config.Width, config.Height, ok, err)
			}
		}
	}
	return ask
}

func (f *fakeLlama) answer(w http.ResponseWriter, r *http.Request, n int32) {
	text, finish := goodPage, "stop"
	switch f.behaviour {
	case "loops once", "loops":
		if f.behaviour == "loops" || n == 1 {
			text, finish = goodPage+`<div data-label="Text" data-bbox="1 2 3 4"><p>`+strings.Repeat("y la parte arrendataria ", 2000), "length"
		}
	case "cut":
		text, finish = goodPage[:len(goodPage)-60], "length"
	case "garbage":
		text = "I'm sorry, I cannot read this image."
	case "empty":
		text = ""
	case "blank":
		text = `<div data-label="Blank-Page" data-bbox="0 0 1000 1000"></div>`
	case "picture":
		text = `<div data-label="Figure" data-bbox="0 0 1000 1000"><img alt="a dog"/></div>`
	case "long":
		time.Sleep(50 * time.Millisecond)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	f.chunk(w, map[string]any{"index": 0, "finish_reason": nil, "delta": map[string]any{"role": "assistant", "content": nil}})
	for i, piece := range pieces(text) {
		f.chunk(w, map[string]any{
			"index": 0, "finish_reason": nil, "delta": map[string]any{"content": piece},
			"logprobs": map[string]any{"content": []any{map[string]any{"id": i, "token": piece, "logprob": -0.105360516, "top_logprobs": []any{}}}},
		})
		switch {
		case f.behaviour == "no stop" && i == 3:
			return
		case f.behaviour == "babbles" && i == 3:
			io.WriteString(w, "data: Segmentation fault\n\n")
			return
		case f.behaviour == "stalls" && i == 3:
			<-r.Context().Done()
			return
		case r.Context().Err() != nil:
			f.note("left", i)
			return
		}
	}
	f.chunk(w, map[string]any{"index": 0, "finish_reason": finish, "delta": map[string]any{}})
	io.WriteString(w, "data: [DONE]\n\n")
}

func (f *fakeLlama) chunk(w http.ResponseWriter, choice map[string]any) {
	line, _ := json.Marshal(map[string]any{"object": "chat.completion.chunk", "model": suryaAlias, "choices": []any{choice}})
	fmt.Fprintf(w, "data: %s\n\n", line)
	w.(http.Flusher).Flush()
}

// pieces cut a text as tokens do: at bytes that are no characters' ends llama.cpp waits for the rest.
func pieces(text string) (out []string) {
	for runes := []rune(text); len(runes) > 0; {
		n := min(4, len(runes))
		out, runes = append(out, string(runes[:n])), runes[n:]
	}
	return out
}
