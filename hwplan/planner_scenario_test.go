package hwplan

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// How long things take on the target laptop, about.
const (
	loadTime   = 8 * time.Second
	unloadTime = time.Second
	answerTime = 6 * time.Second
	quietTime  = 30 * time.Second // nobody has asked for so long: chat may go
	pageTime   = 4 * time.Second
)

// A resident is the adapter of chat or embedder as it is meant to be: it keeps
// one grant, loads when it is first asked, and when its memory is wanted, unloads
// after a quiet time.
type resident struct {
	p     *Planner
	role  Role
	quiet time.Duration
	load  func(Placement) error // nil: it succeeds

	turn  chan struct{} // holds a token while nobody uses the model: a mutex would stop the bubble's clock
	grant *Grant
	loads []int // layers on the GPU, of each load
	last  time.Time
}

func newResident(p *Planner, role Role, quiet time.Duration) *resident {
	r := &resident{p: p, role: role, quiet: quiet, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// ask answers a question and returns how long it had to wait before the model was there.
func (r *resident) ask(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	<-r.turn
	defer func() { r.turn <- struct{}{} }()
	if r.grant == nil {
		g, err := r.p.Grant(ctx, r.role)
		if err != nil {
			return 0, err
		}
		time.Sleep(loadTime)
		r.loads = append(r.loads, g.Placement().Offloaded)
		if r.load != nil {
			if err := r.load(g.Placement()); err != nil {
				g.Release()
				return 0, err
			}
		}
		r.grant = g
		go r.yield(ctx, g)
	}
	waited := time.Since(start)
	time.Sleep(answerTime)
	r.last = time.Now()
	return waited, nil
}

// yield unloads the model when it is wanted and nobody has asked for a while.
func (r *resident) yield(ctx context.Context, g *Grant) {
	select {
	case <-g.Wanted():
	case <-ctx.Done():
	}
	for {
		<-r.turn
		left := r.quiet - time.Since(r.last)
		if left <= 0 || ctx.Err() != nil {
			break
		}
		r.turn <- struct{}{}
		time.Sleep(left)
	}
	time.Sleep(unloadTime)
	r.grant = nil
	g.Release()
	r.turn <- struct{}{}
}

// scan reads pages one after the other, in as many turns as it takes, and returns when its first turn began.
func scan(ctx context.Context, p *Planner, pages int) (first time.Time, turns int, err error) {
	for pages > 0 {
		g, err := p.Grant(ctx, OCR)
		if err != nil {
			return first, turns, err
		}
		if turns++; turns == 1 {
			first = time.Now()
		}
		time.Sleep(loadTime)
		for wanted := false; pages > 0 && !wanted; pages-- {
			time.Sleep(pageTime)
			select {
			case <-g.Wanted():
				wanted = true
			default:
			}
		}
		time.Sleep(unloadTime)
		g.Release()
	}
	return first, turns, nil
}

// scene runs in simulated time, with the resident models loaded, and leaves nothing lent.
func scene(t *testing.T, play func(ctx context.Context, t *testing.T, p *Planner, chat, embedder *resident)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := NewPlanner(laptop())
		chat, embedder := newResident(p, Chat, quietTime), newResident(p, Embedding, 0)
		for _, r := range []*resident{embedder, chat} {
			if _, err := r.ask(ctx); err != nil {
				t.Fatal(err)
			}
		}
		play(ctx, t, p, chat, embedder)
		checkSums(t, p)
		cancel()
		time.Sleep(time.Hour)
		synctest.Wait()
		if u := p.Usage(); u.GPU.LentBytes+u.RAM.LentBytes != 0 {
			t.Errorf("left: %+v", u)
		}
	})
}

func TestScanDroppedWhileChatting(t *testing.T) {
	scene(t, func(ctx context.Context, t *testing.T, p *Planner, chat, embedder *resident) {
		start := time.Now()
		done := make(chan time.Time)
		go func() {
			time.Sleep(10 * time.Second)
			first, _, err := scan(ctx, p, 5)
			if err != nil {
				t.Error(err)
			}
			done <- first
		}()
		var lastAnswer time.Time
		for range 6 { // a question every 20 seconds
			waited, err := chat.ask(ctx)
			if err != nil || waited > 0 {
				t.Errorf("a question waited %v, %v", waited, err)
			}
			lastAnswer = time.Now()
			time.Sleep(20*time.Second - answerTime)
		}
		began := <-done
		t.Logf("scan dropped at 10 s, last answer at %v, OCR's turn began at %v; no question waited", lastAnswer.Sub(start), began.Sub(start))
		if began.Sub(lastAnswer) != quietTime+unloadTime {
			t.Errorf("OCR began %v after the last answer", began.Sub(lastAnswer))
		}
		if waited, err := chat.ask(ctx); err != nil || waited != loadTime {
			t.Errorf("after the scan: %v, %v", waited, err)
		}
		if !slices.Equal(chat.loads, []int{20, 20}) || len(embedder.loads) != 1 {
			t.Errorf("loads: %v, %v", chat.loads, embedder.loads)
		}
	})
}

func TestQuestionDuringOCR(t *testing.T) {
	for _, at := range []time.Duration{0, 1500 * time.Millisecond, 3999 * time.Millisecond} {
		scene(t, func(ctx context.Context, t *testing.T, p *Planner, chat, embedder *resident) {
			done := make(chan int)
			go func() {
				_, turns, err := scan(ctx, p, 50)
				if err != nil {
					t.Error(err)
				}
				done <- turns
			}()
			time.Sleep(quietTime + unloadTime + loadTime + 3*pageTime + at) // into the fourth page
			waited, err := chat.ask(ctx)
			forGrant := waited - loadTime
			t.Logf("asked %v into a page: waited %v for the memory, %v with loading", at, forGrant, waited)
			if err != nil || forGrant > pageTime+unloadTime {
				t.Errorf("waited %v, %v", forGrant, err)
			}
			if turns := <-done; turns != 2 {
				t.Errorf("OCR had %d turns", turns)
			}
			if len(embedder.loads) != 1 {
				t.Errorf("the embedder was loaded %d times", len(embedder.loads))
			}
		})
	}
}

func TestOutOfMemoryOnLoad(t *testing.T) {
	scene(t, func(ctx context.Context, t *testing.T, p *Planner, chat, embedder *resident) {
		errMemory := errors.New("cudaMalloc failed: out of memory")
		chat.load = func(pl Placement) error { // the card has less than the plan thinks
			if pl.Offloaded > 16 {
				return errMemory
			}
			return nil
		}
		p.Replace(with(p.Plan(), map[Role]Placement{Chat: hybrid(22)})) // and a new plan wants even more
		time.Sleep(time.Minute)
		_, err := chat.ask(ctx)
		for layers := 22; errors.Is(err, errMemory) && layers > 0; {
			layers -= 2
			p.Replace(with(p.Plan(), map[Role]Placement{Chat: hybrid(layers)}))
			_, err = chat.ask(ctx)
		}
		t.Logf("layers of each load: %v", chat.loads)
		if err != nil || !slices.Equal(chat.loads, []int{20, 22, 20, 18, 16}) || len(embedder.loads) != 1 {
			t.Errorf("%v, loads %v, %v", err, chat.loads, embedder.loads)
		}
	})
}

// watch reads the card every two seconds, as whoever keeps the plan does, and
// makes the plan a smaller one when the card has less than is lent, or none when it is lost.
func watch(ctx context.Context, p *Planner, card *fakeCard) {
	for ctx.Err() == nil {
		gpus, err := card.read(ctx)
		plan := p.Plan()
		switch {
		case errors.Is(err, ErrGPULost) && plan.GPU.TotalBytes > 0:
			p.Replace(cpuOnly())
		case err == nil && !p.Usage().Replacing && plan.GPU.FreeBytes > gpus[0].FreeBytes:
			plan.GPU.FreeBytes = gpus[0].FreeBytes
			layers := int((plan.GPU.Lendable() - demand(plan.Roles[Embedding]).gpu - 900*MiB) / (150 * MiB))
			p.Replace(with(plan, map[Role]Placement{Chat: hybrid(layers)}))
		}
		time.Sleep(2 * time.Second)
	}
}

func TestGameTakesMemory(t *testing.T) {
	scene(t, func(ctx context.Context, t *testing.T, p *Planner, chat, embedder *resident) {
		card := newFakeCard()
		card.at(time.Minute, func() { card.take(2000) })
		go watch(ctx, p, card)
		start := time.Now()
		var waits []time.Duration
		for range 6 {
			time.Sleep(quietTime + time.Second) // not the quiet time itself: who comes first then is chance
			waited, err := chat.ask(ctx)
			if err != nil {
				t.Error(err)
			}
			waits = append(waits, waited)
		}
		t.Logf("a game takes 2000 MiB after a minute: layers of each load %v, waits %v, lendable %d MiB after %v",
			chat.loads, waits, p.Plan().GPU.Lendable()/MiB, time.Since(start))
		if len(chat.loads) != 2 || chat.loads[1] >= 20 || len(embedder.loads) != 1 {
			t.Errorf("loads %v, %v: want exactly one reload of chat", chat.loads, embedder.loads)
		}
		if u := p.Usage(); u.Replacing || u.GPU.LendableBytes != 4001*MiB {
			t.Errorf("%+v", u)
		}
	})
}

func TestCardLost(t *testing.T) {
	scene(t, func(ctx context.Context, t *testing.T, p *Planner, chat, embedder *resident) {
		card := newFakeCard()
		card.at(time.Minute, card.lose)
		go watch(ctx, p, card)
		time.Sleep(90 * time.Second) // quiet: both were asked, and went
		if u := p.Usage(); u.Replacing || u.GPU.LendableBytes != 0 {
			t.Errorf("%+v", u)
		}
		for _, r := range []*resident{embedder, chat} {
			if _, err := r.ask(ctx); err != nil || r.grant.Placement().Device != OnCPU {
				t.Errorf("%s: %v, on %s", r.role, err, r.grant.Placement().Device)
			}
		}
		u := p.Usage()
		t.Logf("card lost: %d tenants on the GPU, %d in RAM, with %d MiB of %d", len(u.GPU.Tenants), len(u.RAM.Tenants), u.RAM.LentBytes/MiB, u.RAM.LendableBytes/MiB)
		if len(u.RAM.Tenants) != 2 || len(u.GPU.Tenants) != 0 {
			t.Errorf("%+v", u)
		}
	})
}

// TestHeatAndBattery reads a card that heats up, is eased, and is then unplugged.
func TestHeatAndBattery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newFakeCard()
		card.work(95)
		card.at(30*time.Second, func() { card.heat(92) })
		card.at(15*time.Minute, func() { card.battery(true) })
		card.at(20*time.Minute, func() { card.battery(false) })
		var g Governor
		start, level := time.Now(), 0
		var got []int
		for time.Since(start) < 25*time.Minute {
			a := g.Observe(time.Now(), card.hardware(t.Context()), Rate{})
			if a.Level != level {
				level = a.Level
				got = append(got, level)
				t.Logf("%v: level %d. %s", time.Since(start), level, a.Reason)
				if a.Pause {
					card.heat(70) // it helps
				}
			}
			time.Sleep(2 * time.Second)
		}
		if !slices.Equal(got, []int{1, 2, 1, 0, 1, 0}) {
			t.Errorf("levels %v", got)
		}
	})
}
