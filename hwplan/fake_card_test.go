package hwplan

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A fakeCard is the card of the target laptop, an RTX 3050 6GB Laptop, as a
// gpuSource whose state follows a script. It reads time.Now, so that under
// testing/synctest a minute of heat costs nothing:
//
//	card := newFakeCard()
//	card.at(30*time.Second, func() { card.take(2000) }) // a game starts
//	card.at(90*time.Second, func() { card.heat(95) })   // the fan gives up
//
// It starts idle and cool, with 6001 of 6144 MiB free, on mains. The events of at
// are caught up with by each reading; the other methods act at once.
// All of them may be called from any goroutine, and from the events themselves.
type fakeCard struct {
	mu     sync.Mutex
	events []fakeEvent // by time
	start  time.Time

	usedMiB int
	percent int // utilization
	onMains bool
	lost    bool
	reads   int
	event   time.Time // of the event that is happening

	since  time.Time // when the temperature began to move
	from   float64   // from there
	target float64   // to there, a degree a second
}

type fakeEvent struct {
	at time.Time
	do func()
}

const (
	fakeTotalMiB = 6144
	fakeIdleC    = 45
	fakeSlowC    = 87 // the slow-down threshold
)

func newFakeCard() *fakeCard {
	now := time.Now()
	return &fakeCard{start: now, since: now, from: fakeIdleC, target: fakeIdleC, usedMiB: 143, onMains: true}
}

// at has do happen after a time, counted from newFakeCard.
func (c *fakeCard) at(after time.Duration, do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, fakeEvent{c.start.Add(after), do})
	slices.SortStableFunc(c.events, func(a, b fakeEvent) int { return a.at.Compare(b.at) })
}

// take fills memory, as a game or a loaded model does; a negative number gives it back.
func (c *fakeCard) take(mib int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usedMiB = min(fakeTotalMiB, max(0, c.usedMiB+mib))
}

// work sets how busy the card is, in percent. At 0 its clocks idle.
func (c *fakeCard) work(percent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.percent = percent
}

// heat lets the temperature move to c degrees, one a second. From fakeSlowC on the clocks are lowered.
func (c *fakeCard) heat(celsius int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.event.IsZero() {
		now = c.event
	}
	c.from, c.since, c.target = c.temperature(now), now, float64(celsius)
}

// battery unplugs the laptop: the card gets 20 W and half its clocks. With false it is on mains again.
func (c *fakeCard) battery(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onMains = !on
}

// lose takes the card off the bus: readings answer ErrGPULost until found is called.
func (c *fakeCard) lose() { c.setLost(true) }

// found brings a lost card back.
func (c *fakeCard) found() { c.setLost(false) }

func (c *fakeCard) setLost(lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = lost
}

// readings is how often the card was read.
func (c *fakeCard) readings() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
}

func (c *fakeCard) read(ctx context.Context) ([]GPU, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	c.play(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	if c.lost {
		return nil, ErrGPULost
	}
	return []GPU{c.state(now)}, nil
}

func (c *fakeCard) close() error { return nil }

// hardware is a reading of the whole laptop: Core Ultra 7 155H, 32 GiB of which 24 are free, an NPU, a battery.
func (c *fakeCard) hardware(ctx context.Context) Hardware {
	gpus, err := c.read(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	h := Hardware{
		OS:    "linux",
		CPU:   CPU{Model: "Intel(R) Core(TM) Ultra 7 155H", Cores: 16, PerformanceCores: 6, Threads: 22, SIMD: []string{"AVX", "AVX2", "FMA3", "F16C"}},
		RAM:   Memory{TotalBytes: 32 * GiB, FreeBytes: 24 * GiB},
		GPUs:  gpus,
		NPU:   &NPU{Name: "Intel AI Boost (Meteor Lake)", Driver: "intel_vpu", Path: "/dev/accel/accel0"},
		Power: Power{Battery: true, OnBattery: !c.onMains, Percent: 80},
		Disk:  Memory{TotalBytes: 512 * GiB, FreeBytes: 200 * GiB},
	}
	if err != nil {
		h.Notes = []string{err.Error()}
	}
	return h
}

// play lets the events up to now happen, each without the lock, for they call the methods above.
func (c *fakeCard) play(now time.Time) {
	for {
		c.mu.Lock()
		if len(c.events) == 0 || c.events[0].at.After(now) {
			c.mu.Unlock()
			return
		}
		event := c.events[0]
		c.events, c.event = c.events[1:], event.at
		c.mu.Unlock()
		event.do()
		c.mu.Lock()
		c.event = time.Time{}
		c.mu.Unlock()
	}
}

func (c *fakeCard) temperature(now time.Time) float64 {
	moved := now.Sub(c.since).Seconds()
	if c.target < c.from {
		return max(c.target, c.from-moved)
	}
	return min(c.target, c.from+moved)
}

func (c *fakeCard) state(now time.Time) GPU {
	g := GPU{
		UUID: "GPU-5e1f0c6e-0000-0000-0000-000000003050", Name: "NVIDIA GeForce RTX 3050 6GB Laptop GPU", Driver: "580.95.05",
		Memory:    Memory{TotalBytes: fakeTotalMiB * MiB, FreeBytes: int64(fakeTotalMiB-c.usedMiB) * MiB},
		UsedBytes: int64(c.usedMiB) * MiB, BusBits: 96,
		MemoryMHz: 7001, MaxMemoryMHz: 7001, SMMHz: 1740, MaxSMMHz: 2100,
		TemperatureC: int(c.temperature(now)), SlowdownC: fakeSlowC,
		PowerW: 60, PowerLimitW: 60, Utilization: c.percent, Throttle: []string{},
	}
	if c.percent == 0 {
		g.MemoryMHz, g.SMMHz, g.PowerW = 405, 210, 6
		g.Throttle = append(g.Throttle, "idle")
		return g
	}
	if !c.onMains {
		g.MemoryMHz, g.SMMHz, g.PowerW, g.PowerLimitW = 3500, 900, 20, 20
		g.Throttle = append(g.Throttle, "power cap")
	}
	if g.TemperatureC >= fakeSlowC {
		g.SMMHz = min(g.SMMHz, 700)
		g.Throttle = append(g.Throttle, "thermal")
	}
	return g
}
