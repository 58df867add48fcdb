package sidecar

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
)

// How long things take on the target laptop, about.
const (
	gpuLoad   = 8 * time.Second
	gpuUnload = time.Second
	gpuAnswer = 6 * time.Second
	gpuEmbed  = 100 * time.Millisecond
	gpuPage   = 4 * time.Second
	gpuWindow = 30 * time.Second // ten minutes of sound
	gpuQuiet  = 30 * time.Second // nobody has asked for so long: chat may go
)

// laptopPlan is the real plan for the RTX 3050 6GB: the language model in part and the embedder resident, Surya and
// Whisper in turns.
func laptopPlan(t *testing.T) hwplan.Plan {
	t.Helper()
	r := hwplan.NewRequest(hwplan.Hardware{
		OS:  "linux",
		CPU: hwplan.CPU{Cores: 16, PerformanceCores: 6, Threads: 22},
		RAM: hwplan.Memory{TotalBytes: 32 * hwplan.GiB, FreeBytes: 24 * hwplan.GiB},
		GPUs: []hwplan.GPU{{
			Name: "NVIDIA GeForce RTX 3050 6GB Laptop GPU", BusBits: 96, MaxMemoryMHz: 7001,
			Memory: hwplan.Memory{TotalBytes: 6144 * hwplan.MiB, FreeBytes: 6001 * hwplan.MiB},
		}},
	})
	for name, to := range map[string]**hwplan.Model{"qwen2.5:7b": &r.Chat, "nomic-embed-text": &r.Embedder} {
		m, ok := hwplan.Lookup(name)
		if !ok {
			t.Fatalf("no %s in the catalogue", name)
		}
		*to = &m
	}
	plan := hwplan.Fit(r)
	for _, role := range []hwplan.Role{hwplan.Chat, hwplan.Embedding, hwplan.OCR, hwplan.Transcription} {
		if p, ok := plan.Placement(role); !ok || p.VRAMBytes == 0 {
			t.Fatalf("%s is not on the GPU: %+v", role, p)
		}
	}
	return plan
}

// A card is what processes have loaded on a GPU, however they came to it.
type card struct {
	*testing.T
	planner *hwplan.Planner

	mu         sync.Mutex
	used, peak int64
}

// load has a process take its memory, unload has it end: at both the card is looked at.
func (c *card) load(bytes int64) {
	time.Sleep(gpuLoad)
	c.take(bytes)
}

func (c *card) unload(bytes int64) {
	time.Sleep(gpuUnload)
	c.take(-bytes)
}

func (c *card) take(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used += bytes
	c.peak = max(c.peak, c.used)
	lent := c.planner.Usage().GPU
	if lent.LentBytes > lent.LendableBytes || c.used > lent.LentBytes {
		c.Errorf("%d MiB are loaded, %d lent, %d lendable", c.used/hwplan.MiB, lent.LentBytes/hwplan.MiB, lent.LendableBytes/hwplan.MiB)
	}
}

// A residentModel is chat or embedder, as their adapter is: loaded when it is asked, unloaded when its memory is
// wanted and nobody has asked for a while.
type residentModel struct {
	card  *card
	role  hwplan.Role
	quiet time.Duration
	takes time.Duration

	turn chan struct{} // holds a token while the model is used: a mutex would stop the clock
	held *hwplan.Grant
	last time.Time
}

// ask returns how long the memory was waited for.
func (r *residentModel) ask(ctx context.Context) (waited time.Duration, err error) {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if r.held == nil {
		start := time.Now()
		g, err := r.card.planner.Grant(ctx, r.role)
		if err != nil {
			return 0, err
		}
		waited = time.Since(start)
		r.card.load(g.Placement().VRAMBytes)
		r.held = g
		go r.yield(ctx, g)
	}
	time.Sleep(r.takes)
	r.last = time.Now()
	return waited, nil
}

func (r *residentModel) yield(ctx context.Context, g *hwplan.Grant) {
	select {
	case <-g.Wanted():
	case <-ctx.Done():
	}
	for {
		r.turn <- struct{}{}
		left := r.quiet - time.Since(r.last)
		if left <= 0 || ctx.Err() != nil {
			break
		}
		<-r.turn
		time.Sleep(left)
	}
	r.card.unload(g.Placement().VRAMBytes)
	r.held = nil
	g.Release()
	<-r.turn
}

// perceive does so many pages or windows by a lease, as a worker does: one after the other, and ends at the next end
// of one when the memory is wanted.
func (c *card) perceive(ctx context.Context, l *lease, units int, each time.Duration) (turns int, err error) {
	for units > 0 {
		got, err := l.take(ctx)
		if err != nil {
			return turns, err
		}
		turns++
		c.load(got.placement.VRAMBytes)
		for ; units > 0 && !got.asked(); units-- {
			time.Sleep(each)
		}
		c.unload(got.placement.VRAMBytes)
		got.end()
	}
	return turns, nil
}

// A long scan, a long recording, questions and their embeddings share 6 GB. What is loaded is never more than is
// planned, and a question waits for no more than the page or window in hand.
func TestFourShareTheCard(t *testing.T) {
	plan := laptopPlan(t)
	worst, most := time.Duration(0), int64(0)
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			longest, peak := shareTheCard(t, plan, rand.New(rand.NewPCG(seed, 1)))
			worst, most = max(worst, longest), max(most, peak)
		})
	}
	bound := max(gpuPage, gpuWindow) + gpuUnload
	t.Logf("of %d MiB lendable at most %d were loaded; a question waited %s for the memory at worst, bound %s (a page takes %s, a window %s, unloading %s)",
		plan.GPU.Lendable()/hwplan.MiB, most/hwplan.MiB, worst, bound, gpuPage, gpuWindow, gpuUnload)
	if worst > bound || worst == 0 {
		t.Errorf("a question waited %s, bound %s", worst, bound)
	}
}

// shareTheCard plays an hour or two, and returns the longest wait of a question and the most that was loaded.
func shareTheCard(t *testing.T, plan hwplan.Plan, rng *rand.Rand) (longest time.Duration, peak int64) {
	ctx, cancel := context.WithCancel(t.Context())
	planner := hwplan.NewPlanner(plan)
	c := &card{T: t, planner: planner}
	lend := func(context.Context) (*hwplan.Planner, error) { return planner, nil }
	chat := &residentModel{card: c, role: hwplan.Chat, quiet: gpuQuiet, takes: gpuAnswer, turn: make(chan struct{}, 1)}
	embedder := &residentModel{card: c, role: hwplan.Embedding, takes: gpuEmbed, turn: make(chan struct{}, 1)}
	scan, talk := newLease(lend, hwplan.OCR, hwplan.OnGPU), newLease(lend, hwplan.Transcription, "")

	var work sync.WaitGroup
	done := make(chan string, 2)
	for _, w := range []struct {
		lease *lease
		units int
		each  time.Duration
	}{{scan, 300, gpuPage}, {talk, 18, gpuWindow}} {
		work.Go(func() {
			turns, err := c.perceive(ctx, w.lease, w.units, w.each)
			if err != nil {
				t.Errorf("%s: %v", w.lease.role, err)
			}
			done <- fmt.Sprintf("%s in %d turns", w.lease.role, turns)
		})
	}
	questions := 0
	for len(done) < 2 {
		time.Sleep(time.Duration(rng.IntN(120_000)) * time.Millisecond)
		for _, model := range []*residentModel{embedder, chat} {
			waited, err := model.ask(ctx)
			if err != nil {
				t.Fatal(err)
			}
			longest = max(longest, waited)
		}
		questions++
	}
	work.Wait()
	t.Logf("%d questions, %s, %s", questions, <-done, <-done)
	cancel()
	time.Sleep(time.Hour)
	synctest.Wait()
	if u := planner.Usage(); u.GPU.LentBytes != 0 || c.used != 0 {
		t.Errorf("left: %+v, %d bytes loaded", u.GPU, c.used)
	}
	return longest, c.peak
}
