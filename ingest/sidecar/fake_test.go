package sidecar

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeArgument makes the test binary a worker: its name and its behaviour follow.
const fakeArgument = "sidecar-fake-worker"

func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "llama-server") {
		serveLlama(os.Args[1:])
		return
	}
	if len(os.Args) > 3 && os.Args[1] == fakeArgument {
		(&fake{name: os.Args[2], behaviour: os.Args[3], args: os.Args[4:]}).serve()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == serverArgument {
		serveFake(os.Args[2:])
		return
	}
	if name := filepath.Base(os.Args[0]); name == "uv" || strings.HasPrefix(name, "python") {
		os.Exit(fakeTool(name, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// fakeCommand starts the test binary as a worker of that behaviour.
func fakeCommand(name, behaviour string, args ...string) func() ([]string, error) {
	return func() ([]string, error) {
		return append([]string{os.Args[0], fakeArgument, name, behaviour}, args...), nil
	}
}

// A fake is a worker in Go: one that does as it should, or misbehaves in one way.
type fake struct {
	name, behaviour string
	args            []string

	mu     sync.Mutex
	cancel chan struct{} // of the request in hand
	id     string
	lost   bool // its card, in this process
}

func (f *fake) say(m map[string]any) {
	line, _ := json.Marshal(m)
	f.mu.Lock()
	defer f.mu.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

func (f *fake) serve() {
	if f.greet() {
		return
	}
	requests := make(chan map[string]any, 16)
	go f.listen(requests)
	for r := range requests {
		f.answer(r)
	}
}

// greet says hello, or what stands in its place; true ends it.
func (f *fake) greet() bool {
	hello := map[string]any{"t": "hello", "proto": 1, "worker": f.name, "caps": map[string]any{"devices": []string{"cpu"}}}
	switch f.behaviour {
	case "silent":
		time.Sleep(time.Hour)
	case "banner":
		fmt.Println("Welcome to my engine 1.0")
	case "old":
		hello["proto"] = 0
	case "other":
		hello["worker"] = "somebody else"
	case "lacking":
		hello["missing"] = []string{"rapidocr", "numpy"}
	case "broken":
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):\n  File \"x.py\"\nImportError: libcudnn_ops.so.9: cannot open shared object file")
		os.Exit(1)
	}
	f.say(hello)
	return false
}

func (f *fake) listen(requests chan<- map[string]any) {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if f.behaviour == "deaf" {
				time.Sleep(time.Hour)
			}
			os.Exit(0)
		}
		var m map[string]any
		if json.Unmarshal(line, &m) != nil {
			os.Exit(3)
		}
		switch m["t"] {
		case "req":
			f.mu.Lock()
			f.id, f.cancel = m["id"].(string), make(chan struct{})
			f.mu.Unlock()
			requests <- m
		case "cancel":
			f.mu.Lock()
			if f.id == m["id"] {
				close(f.cancel)
			}
			f.mu.Unlock()
		case "ping":
			rss := 30
			if f.behaviour == "fat" {
				rss = 1 << 20
			}
			f.say(map[string]any{"t": "pong", "n": m["n"], "rss_mb": rss})
		case "bye":
			if f.behaviour == "deaf" {
				time.Sleep(time.Hour)
			}
			os.Exit(0)
		}
	}
}

func (f *fake) refuse(code, text string) {
	f.say(map[string]any{"t": "res", "id": f.id, "err": map[string]any{"code": code, "msg": text}})
}

func (f *fake) ok(v any) { f.say(map[string]any{"t": "res", "id": f.id, "ok": v}) }

func (f *fake) answer(r map[string]any) {
	params, _ := r["p"].(map[string]any)
	switch r["m"] {
	case "load":
		if f.behaviour == "no model" {
			f.refuse("model_missing", "model.bin is not there")
			return
		}
		f.ok(map[string]any{"engine": "fake " + f.name, "device": "cpu"})
	case "ocr", "transcribe", "decode":
		if f.misbehave(params) {
			return
		}
		switch r["m"] {
		case "ocr":
			f.read(params)
		case "decode":
			f.decode(params)
		default:
			f.hear(params)
		}
	default:
		f.refuse("unsupported", "no such method")
	}
}

// read answers with the size of a PNG.
func (f *fake) read(params map[string]any) {
	data, _ := os.ReadFile(params["path"].(string))
	config, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		f.refuse("bad_input", "not an image")
		return
	}
	if f.pause(params) {
		return
	}
	f.ok(map[string]any{"turns": 0, "width": config.Width, "height": config.Height, "lines": []any{map[string]any{
		"text": fmt.Sprintf("página de %d × %d", config.Width, config.Height), "p": 0.9, "box": []int{0, 0, config.Width, config.Height / 2},
	}}})
}

// decode makes something that begins like a JPEG of what begins like a photo.
func (f *fake) decode(params map[string]any) {
	data, _ := os.ReadFile(params["path"].(string))
	if len(data) < 12 || string(data[4:8]) != "ftyp" {
		f.refuse("bad_input", "not a photo")
		return
	}
	if f.behaviour == "large" {
		f.refuse("too_large", fmt.Sprintf("more than %g pixels", params["pixels"]))
		return
	}
	if f.pause(params) {
		return
	}
	picture := "\xFF\xD8\xFF a fake JPEG"
	if f.behaviour == "no picture" {
		picture = "<html>"
	}
	if f.behaviour != "nothing" {
		_ = os.WriteFile(params["to"].(string), []byte(picture), 0o600)
	}
	f.ok(map[string]any{})
}

// hear answers with a sentence a window; a WAV of 16 kHz, mono, 16 bits is understood.
func (f *fake) hear(params map[string]any) {
	data, _ := os.ReadFile(params["path"].(string))
	if !bytes.HasPrefix(data, []byte("RIFF")) {
		f.refuse("bad_input", "no recording")
		return
	}
	total := float64(len(data)-44) / 32000
	start, _ := params["start_s"].(float64)
	window, _ := params["window_s"].(float64)
	if window == 0 {
		window = 600
	}
	for ; start < total; start += window {
		end := min(total, start+window)
		if f.lie(start, end, total) {
			continue
		}
		f.say(map[string]any{"t": "event", "id": f.id, "kind": "window", "v": map[string]any{"s": start, "e": end, "total_s": total}})
		if f.poison(start) || f.pause(params) {
			return
		}
		if f.behaviour == "invents" {
			f.say(map[string]any{"t": "event", "id": f.id, "kind": "dropped", "v": map[string]any{"s": start - 1, "e": start + 2, "why": "a loop"}})
		}
		f.say(map[string]any{"t": "event", "id": f.id, "kind": "segment", "v": map[string]any{
			"s": start, "e": end, "text": fmt.Sprintf("ventana de %g s a %g s", start, end), "p": 0.9, "language": "es",
		}})
		f.say(map[string]any{"t": "event", "id": f.id, "kind": "done", "v": map[string]any{"e": end, "total_s": total, "unread": []any{}}})
	}
	f.ok(map[string]any{"language": "es", "duration_s": total, "unread": []any{}})
}

// lie tells of what cannot be, in the place of a window.
func (f *fake) lie(start, end, total float64) bool {
	event := func(kind string, v map[string]any) {
		f.say(map[string]any{"t": "event", "id": f.id, "kind": kind, "v": v})
	}
	window := map[string]any{"s": start, "e": end, "total_s": total}
	segment := map[string]any{"s": start, "e": end, "text": "mentira", "p": 0.9, "language": "es"}
	done := map[string]any{"e": end, "total_s": total, "unread": []any{}}
	switch f.behaviour {
	case "before time":
		segment["s"] = start - 100
	case "after time":
		segment["e"] = 1e300
	case "backwards":
		done["e"] = start - 1
	case "far window":
		window["e"] = 1e300
	case "no window":
		event("segment", segment)
		event("done", done)
		return true
	default:
		return false
	}
	event("window", window)
	event("segment", segment)
	event("done", done)
	return true
}

// poison dies, or refuses, at the window that begins at 20 seconds; true: it was refused.
func (f *fake) poison(start float64) bool {
	if f.behaviour == "slow windows" {
		time.Sleep(50 * time.Millisecond)
	}
	if start != 20 {
		return false
	}
	switch {
	case f.behaviour == "poison", f.behaviour == "die once" && f.first():
		os.Exit(9)
	case f.behaviour == "raises", f.behaviour == "raises once" && f.first():
		f.refuse("internal", "ValueError: no such tensor")
	case f.behaviour == "no memory":
		f.refuse("oom_ram", "not enough memory")
	case f.behaviour == "card is full", f.behaviour == "card was full" && f.first():
		f.refuse("oom_gpu", "RuntimeError: CUDA failed with error out of memory")
	default:
		return false
	}
	return true
}

// die ends it by a signal. Go turns SIGABRT, which a missing cuDNN raises, into an exit; it makes no difference here.
func (f *fake) die() {
	p, _ := os.FindProcess(os.Getpid())
	_ = p.Kill()
	time.Sleep(time.Hour)
}

// first reports whether this is the first process that asks; args[0] is a directory for all of them.
func (f *fake) first() bool { return os.Mkdir(filepath.Join(f.args[0], "once"), 0o700) == nil }

// pause waits as long as the request says; true: it was cancelled, and that was answered.
func (f *fake) pause(params map[string]any) bool {
	seconds, _ := params["pace_s"].(float64)
	f.mu.Lock()
	cancel := f.cancel
	f.mu.Unlock()
	select {
	case <-cancel:
		if f.behaviour == "late" {
			return false
		}
		f.refuse("cancelled", "the caller no longer wants it")
		return true
	case <-time.After(time.Duration(seconds * float64(time.Second))):
		return false
	}
}

// misbehave does what the behaviour says in the place of an answer, or before it.
func (f *fake) misbehave(map[string]any) (instead bool) {
	switch f.behaviour {
	case "garbage":
		fmt.Println("Segmentation detected, 3 objects found")
	case "unknown":
		f.say(map[string]any{"t": "confession"})
	case "long line":
		fmt.Println(`{"t":"res","id":"2","ok":"` + strings.Repeat("x", 9<<20) + `"}`)
	case "endless line":
		f.mu.Lock() // no pong in it
		for range 1 << 10 {
			os.Stdout.WriteString(strings.Repeat("x", 1<<20))
		}
	case "invalid UTF-8":
		f.mu.Lock()
		fmt.Printf("{\"t\":\"res\",\"id\":%q,\"ok\":{\"width\":10,\"height\":10,\"lines\":[{\"text\":\"a\xf1o\",\"p\":1,\"box\":[0,0,10,10]}]}}\n", f.id)
		f.mu.Unlock()
	case "hostile":
		f.ok(map[string]any{"turns": 99, "width": 10, "height": 10, "path": "/etc/passwd", "page": -1, "lines": []any{
			map[string]any{"text": "<script>alert(1)</script>", "p": 7, "box": []float64{-1e9, -1, 1e9, 1e300}, "path": "../../x"},
			map[string]any{"text": "\x00\x1b[2J", "p": -1, "box": []float64{9, 9, 1, 1}},
		}})
	case "too many lines":
		f.ok(map[string]any{"width": 10, "height": 10, "lines": make([]struct{}, maxLines+1)})
	case "no boxes":
		f.ok(map[string]any{"width": 10, "height": 10, "lines": []any{map[string]any{"text": "a", "box": "everywhere"}}})
	case "eats": // and says that it does not
		eaten := bytes.Repeat([]byte{1}, 300<<20)
		time.Sleep(time.Hour)
		fmt.Fprintln(os.Stderr, len(eaten))
	case "hang":
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Hour)
	case "abort":
		fmt.Fprintln(os.Stderr, "Unable to load any of {libcudnn_ops.so.9.1.0}")
		f.die()
	case "abort once":
		if f.first() {
			f.die()
		}
		return false
	case "lost card": // as after a sleep of the machine, until the process is another
		if f.lost = f.lost || f.first(); !f.lost {
			return false
		}
		f.refuse("internal", "RuntimeError: CUDA failed with error unspecified launch failure")
	case "always raises":
		f.refuse("internal", "ValueError: no such tensor")
	case "full card":
		f.refuse("oom_gpu", "OutOfMemoryError: CUDA out of memory")
	case "half a line":
		f.mu.Lock() // no pong after it
		os.Stdout.WriteString(`{"t":"res","id":"2","o`)
		os.Exit(0)
	case "flood":
		for range 2000 {
			fmt.Fprintln(os.Stderr, strings.Repeat("warning ", 400))
		}
		return false
	case "drip":
		line, _ := json.Marshal(map[string]any{"t": "progress", "id": f.id, "stage": "run", "done": 0.1})
		f.mu.Lock()
		for _, b := range append(line, '\n') {
			os.Stdout.Write([]byte{b})
			time.Sleep(2 * time.Millisecond)
		}
		f.mu.Unlock()
		return false
	case "progress for ever":
		for {
			f.say(map[string]any{"t": "progress", "id": f.id, "stage": "run", "done": 0.1})
			time.Sleep(20 * time.Millisecond)
		}
	case "wrong id":
		f.id = "77"
		return false
	case "neither":
		f.say(map[string]any{"t": "res", "id": f.id})
	case "grandchild", "grandchild, then dies":
		signal.Ignore(syscall.SIGTERM)
		sleep := exec.Command("sleep", "3600")
		sleep.Stdout, sleep.Stderr = os.Stdout, os.Stderr
		_ = sleep.Start()
		_ = os.WriteFile(f.args[0], fmt.Append(nil, sleep.Process.Pid), 0o600)
		if f.behaviour == "grandchild, then dies" {
			os.Exit(7)
		}
		time.Sleep(time.Hour)
	default:
		return false
	}
	return true
}
