package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// starts are where the segments of a fake's transcript begin.
func starts(heard parse.Transcript) string {
	var out []string
	for _, s := range heard.Segments {
		out = append(out, fmt.Sprint(s.StartS))
	}
	return strings.Join(out, " ")
}

func TestTranscribe(t *testing.T) {
	s := speechWorker(t, quick, nil, "good")
	var told []string
	heard, err := s.Transcribe(t.Context(), tone(t, 45), 10, func(done parse.Transcript, doneS, totalS float64) {
		told = append(told, fmt.Sprintf("%g/%g:%d", doneS, totalS, len(done.Segments)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if starts(heard) != "10 20 30 40" || heard.DurationS != 45 || heard.Language != "es" || heard.Engine != "fake speech cpu" || heard.Unread != nil {
		t.Errorf("heard %+v", heard)
	}
	if want := []string{"20/45:1", "30/45:2", "40/45:3", "45/45:4"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// The worker is not blamed for the time in which what it said is taken in.
func TestTranscribeSlowlyTakenIn(t *testing.T) {
	bounds := quick
	bounds.stall = 300 * time.Millisecond
	s, processes := speechWorker(t, bounds, nil, "good"), map[int]bool{}
	heard, err := s.Transcribe(t.Context(), tone(t, 95), 0, func(parse.Transcript, float64, float64) {
		processes[s.worker.child.(*child).process.PID()] = true
		time.Sleep(2 * bounds.stall)
	})
	if err != nil || heard.Unread != nil || len(processes) > 1 {
		t.Errorf("%d processes heard %+v, %v", len(processes), heard, err)
	}
}

// What was dropped is told, as far as it lies in its window.
func TestTranscribeDropped(t *testing.T) {
	s := speechWorker(t, quick, nil, "invents")
	heard, err := s.Transcribe(t.Context(), tone(t, 30), 0, nil)
	if want := [][2]float64{{0, 2}, {10, 12}, {20, 22}}; err != nil || !slices.Equal(heard.Dropped, want) {
		t.Errorf("dropped %v, want %v: %v", heard.Dropped, want, err)
	}
}

// A process that dies in a window costs no more than that window's time.
func TestTranscribeGoesOn(t *testing.T) {
	s := speechWorker(t, quick, nil, "die once")
	heard, err := s.Transcribe(t.Context(), tone(t, 45), 0, nil)
	if err != nil || starts(heard) != "0 10 20 30 40" || heard.Unread != nil {
		t.Errorf("heard %+v, %v", heard, err)
	}
}

// A window that kills every process is left out.
func TestT0PoisonWindow(t *testing.T) {
	s := speechWorker(t, quick, nil, "poison")
	heard, err := s.Transcribe(t.Context(), tone(t, 45), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if starts(heard) != "0 10 30 40" || !slices.Equal(heard.Unread, [][2]float64{{20, 30}}) {
		t.Errorf("heard %+v", heard)
	}
}

// What an engine cannot do with a window, in words, is no more than dying over it: it gets another process, and if that
// cannot either, the window alone is left out. For the card's memory the recording waits.
func TestTranscribeRefused(t *testing.T) {
	for behaviour, want := range map[string]struct {
		starts string
		unread [][2]float64
		err    error
	}{
		"raises once":   {"0 10 20 30 40", nil, nil},
		"raises":        {"0 10 30 40", [][2]float64{{20, 30}}, nil},
		"no memory":     {"0 10 30 40", [][2]float64{{20, 30}}, nil},
		"card was full": {"0 10 20 30 40", nil, nil},
		"card is full":  {"0 10", nil, ErrUnavailable},
	} {
		heard, err := speechWorker(t, quick, nil, behaviour).Transcribe(t.Context(), tone(t, 45), 0, nil)
		if starts(heard) != want.starts || !slices.Equal(heard.Unread, want.unread) || !errors.Is(err, want.err) {
			t.Errorf("%s: heard %+v, %v", behaviour, heard, err)
		}
	}
}

func TestTranscribeErrors(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.wav")
	if err := os.WriteFile(none, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	var refused *parse.Error
	if _, err := speechWorker(t, quick, nil, "good").Transcribe(t.Context(), none, 0, nil); !errors.As(err, &refused) || refused.Code != parse.Corrupt {
		t.Errorf("no recording: %v", err)
	}
	if _, err := speechWorker(t, quick, nil, "lacking").Transcribe(t.Context(), none, 0, nil); !errors.Is(err, ErrMissing) {
		t.Errorf("no library: %v", err)
	}
	if _, err := NewSpeech(Config{}).Transcribe(t.Context(), none, 0, nil); !errors.Is(err, ErrMissing) {
		t.Errorf("no model: %v", err)
	}
	if _, err := NewSpeech(Config{Model: always("m")}).Transcribe(t.Context(), none, 0, nil); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "acervo setup speech") {
		t.Errorf("no Python: %v", err)
	}
}

// lender is a planner of a card that holds one of chat and speech.
func lender() (*hwplan.Planner, func(context.Context) (*hwplan.Planner, error)) {
	const size = 4 << 30
	placement := hwplan.Placement{Device: hwplan.OnGPU, VRAMBytes: size}
	p := hwplan.NewPlanner(hwplan.Plan{
		GPU: hwplan.Budget{TotalBytes: size + 1<<30, FreeBytes: size + 1<<30}, RAM: hwplan.Budget{TotalBytes: 32 << 30, FreeBytes: 32 << 30},
		Roles: map[hwplan.Role]hwplan.Placement{hwplan.Chat: placement},
		Lent:  map[hwplan.Role]hwplan.Placement{hwplan.Transcription: placement},
	})
	return p, func(context.Context) (*hwplan.Planner, error) { return p, nil }
}

// A question that waits gets the memory at the next window's end, with the process gone; the recording is finished all the same.
func TestT0LeaseOrder(t *testing.T) {
	planner, lend := lender()
	s := speechWorker(t, quick, lend, "slow windows")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	asked := make(chan error, 1)
	var once bool
	heard, err := s.Transcribe(ctx, tone(t, 60), 0, func(_ parse.Transcript, doneS, _ float64) {
		if doneS != 20 || once {
			return
		}
		once = true
		pid := s.worker.child.(*child).process.PID()
		ready := make(chan struct{})
		go func() {
			close(ready)
			grant, err := planner.Grant(ctx, hwplan.Chat)
			if err == nil && !gone(pid) {
				err = errors.New("the memory was lent while the process lived")
			}
			if err == nil {
				grant.Release()
			}
			asked <- err
		}()
		<-ready
	})
	if err != nil || starts(heard) != "0 10 20 30 40 50" {
		t.Errorf("heard %+v, %v", heard, err)
	}
	if err := <-asked; err != nil {
		t.Error(err)
	}
	// It idles now, holds the memory, and goes at once when that is wanted.
	grant, err := planner.Grant(ctx, hwplan.Chat)
	if err != nil {
		t.Fatal(err)
	}
	if held(s.worker) != nil {
		t.Error("the idle process is still there")
	}
	grant.Release()
}

func TestT0LeaseIsShared(t *testing.T) {
	_, lend := lender()
	l := newLease(lend, hwplan.Transcription, "")
	a, err := l.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.take(t.Context())
	if err != nil || b.placement.VRAMBytes == 0 {
		t.Fatalf("%+v, %v", b, err)
	}
	planner, _ := lend(t.Context())
	a.end()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := planner.Grant(ctx, hwplan.Chat); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("lent while one still has it: %v", err)
	}
	if !b.asked() {
		t.Error("nobody told who has it")
	}
	// Who comes now waits for b, whose memory is wanted.
	late := make(chan error, 1)
	go func() {
		c, err := l.take(t.Context())
		c.end()
		late <- err
	}()
	select {
	case err := <-late:
		t.Errorf("lent anew before it was given back: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	b.end()
	if err := <-late; err != nil {
		t.Error(err)
	}
}

// OCR here computes on the CPU: what a plan lends Surya on the GPU is not for it.
func TestLeaseLeavesSuryasMemory(t *testing.T) {
	planner := hwplan.NewPlanner(hwplan.Plan{
		GPU:  hwplan.Budget{TotalBytes: 6 << 30, FreeBytes: 6 << 30},
		Lent: map[hwplan.Role]hwplan.Placement{hwplan.OCR: {Device: hwplan.OnGPU, VRAMBytes: 1 << 30}},
	})
	l := newLease(func(context.Context) (*hwplan.Planner, error) { return planner, nil }, hwplan.OCR, hwplan.OnCPU)
	got, err := l.take(t.Context())
	if err != nil || got.give != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUnread(t *testing.T) {
	h := hearing{fromS: 11}
	h.unread([][2]float64{{30, 40}, {10, 20}, {2, 11}})
	h.unread([][2]float64{{20, 25}, {24, 26}, {10, 12}, {50, 50}})
	if !slices.Equal(h.done.Unread, [][2]float64{{11, 26}, {30, 40}}) {
		t.Errorf("unread %v", h.done.Unread)
	}
}

// A file that is broken all over is told of at each window: that must not hold up the server.
func TestUnreadAllOver(t *testing.T) {
	spans := make([][2]float64, 100_000)
	for i := range spans {
		spans[i] = [2]float64{float64(i), float64(i) + 0.5}
	}
	var h hearing
	start := time.Now()
	h.unread(spans)
	h.unread(spans)
	if took := time.Since(start); len(h.done.Unread) != len(spans) || took > time.Minute {
		t.Errorf("%d spans took %s", len(h.done.Unread), took)
	}
}
