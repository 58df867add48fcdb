package sidecar

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const serverArgument = "sidecar-fake-server"

// serveFake is a server that has an engine of that command at work, or idle, and says which process that is.
func serveFake(args []string) {
	s := newSpeech(Config{Model: always(args[1]), Scratch: args[0]}, func() ([]string, error) { return args[3:], nil })
	ctx, w := context.Background(), s.worker
	w.turn <- struct{}{}
	err := w.ready(ctx)
	w.exit()
	if err != nil {
		fmt.Println("not started:", err)
		return
	}
	fmt.Println(held(w).process.PID())
	_, _, err = w.do(ctx, job{call: call{
		method: "transcribe", params: map[string]any{"path": args[2], "pace_s": 3600, "window_s": 10}, limit: time.Hour,
		event: func(string, json.RawMessage) error { fmt.Println("at work"); return nil },
	}})
	fmt.Println("ended:", err)
	time.Sleep(time.Hour)
}

// SUB-05: three seconds after a kill -9 of the server no engine is alive, at work or idle.
func TestSUB05ServerKilled(t *testing.T) {
	for _, tier := range tiers() {
		t.Run(tier.name, func(t *testing.T) {
			command, err := tier.command(t, "speech")()
			if err != nil {
				t.Fatal(err)
			}
			model := "a model"
			if tier.real {
				model = testModel(t)
			}
			scratch := t.TempDir()
			server := exec.Command(os.Args[0], append([]string{serverArgument, scratch, model, tone(t, 600)}, command...)...)
			out, err := server.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan()
			pid, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Errorf("it says %q", lines.Text())
			}
			if lines.Scan(); !strings.Contains(lines.Text(), "at work") {
				t.Errorf("it says %q", lines.Text())
			}
			_ = server.Process.Kill()
			_ = server.Wait()
			if pid > 0 && !gone(pid) {
				t.Errorf("process %d lives on", pid)
			}
			if left, _ := filepath.Glob(filepath.Join(scratch, fmt.Sprintf("acervo-speech-%d-*", server.Process.Pid))); len(left) != 1 {
				t.Errorf("what the next start sweeps: %v", left)
			}
		})
	}
}
