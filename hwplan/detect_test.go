package hwplan

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDetectHere reads this machine, whatever it is.
func TestDetectHere(t *testing.T) {
	d := NewDetector(filepath.Join(t.TempDir(), "not", "made", "yet"))
	defer d.Close()
	h := d.Read(t.Context())
	if h.CPU.Threads < 1 || h.CPU.Threads > runtime.NumCPU() || h.CPU.Cores < 1 || h.CPU.Cores > h.CPU.Threads ||
		h.CPU.PerformanceCores < 1 || h.CPU.PerformanceCores > h.CPU.Cores {
		t.Errorf("CPU: %+v", h.CPU)
	}
	for name, m := range map[string]Memory{"RAM": h.RAM, "disk": h.Disk} {
		if m.TotalBytes < 1 || m.FreeBytes < 0 || m.FreeBytes > m.TotalBytes {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if len(h.GPUs) == 0 && len(h.Notes) == 0 {
		t.Error("no card, and no word about it")
	}
	encoded, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(encoded), `"gpus":null`) || strings.Contains(string(encoded), `"notes":null`) {
		t.Errorf("a list is null: %s", encoded)
	}
	t.Logf("%s", encoded)
}

// TestDetectCards follows a card that comes, is lost and comes back.
func TestDetectCards(t *testing.T) {
	card := newFakeCard()
	opened := 0
	d := NewDetector(t.TempDir())
	d.open = func() (gpuSource, error) {
		if opened++; opened == 1 {
			return nil, errNoDriver
		}
		return card, nil
	}
	defer d.Close()
	for i, c := range []struct {
		before func()
		cards  int
		opened int
	}{
		{func() {}, 0, 1}, // no driver yet
		{func() {}, 1, 2},
		{func() {}, 1, 2},
		{card.lose, 0, 2},
		{func() {}, 0, 3}, // a lost card's driver is opened anew
		{card.found, 1, 4},
	} {
		c.before()
		h := d.Read(t.Context())
		if len(h.GPUs) != c.cards || (len(h.Notes) == 0) != (c.cards > 0) || opened != c.opened {
			t.Errorf("reading %d: %d cards, opened %d times, %q", i, len(h.GPUs), opened, h.Notes)
		}
	}
}

func TestThrottleWords(t *testing.T) {
	for reasons, want := range map[uint64]string{
		0: "", 0x1: "idle", 0x4: "power cap", 0x20: "thermal", 0x68: "hardware thermal", 0x88: "hardware power",
		0x400: "other", 0x124: "power cap thermal display clocks",
	} {
		if got := strings.Join(throttleWords(reasons), " "); got != want {
			t.Errorf("%#x: %q, want %q", reasons, got, want)
		}
	}
}

// TestFakeCard pins what the planner's tests rely on.
func TestFakeCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newFakeCard()
		card.at(10*time.Second, func() { card.take(2000); card.work(95) })
		card.at(20*time.Second, func() { card.heat(95) })
		card.at(2*time.Minute, card.lose)
		read := func() GPU {
			t.Helper()
			gpus, err := card.read(t.Context())
			if err != nil || len(gpus) != 1 {
				t.Fatalf("%d cards, %v", len(gpus), err)
			}
			return gpus[0]
		}
		if g := read(); g.FreeBytes != 6001*MiB || g.TemperatureC != fakeIdleC || g.Throttle[0] != "idle" {
			t.Errorf("at rest: %+v", g)
		}
		time.Sleep(15 * time.Second)
		if g := read(); g.FreeBytes != 4001*MiB || len(g.Throttle) != 0 || g.Bandwidth() != 168.024e9 {
			t.Errorf("with a game: %+v, %g bytes/s", g, g.Bandwidth())
		}
		time.Sleep(15 * time.Second)
		if g := read(); g.TemperatureC != fakeIdleC+10 {
			t.Errorf("after ten seconds of heat: %d °C", g.TemperatureC)
		}
		time.Sleep(time.Minute)
		if g := read(); g.TemperatureC != 95 || g.Throttle[0] != "thermal" || g.SMMHz >= 1740 {
			t.Errorf("hot: %+v", g)
		}
		card.battery(true)
		if h := card.hardware(t.Context()); !h.Power.OnBattery || h.GPUs[0].PowerLimitW != 20 {
			t.Errorf("on battery: %+v", h)
		}
		time.Sleep(time.Minute)
		if _, err := card.read(t.Context()); !errors.Is(err, ErrGPULost) {
			t.Errorf("lost: %v", err)
		}
		if n := card.readings(); n != 6 {
			t.Errorf("read %d times", n)
		}
	})
}
