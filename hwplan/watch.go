package hwplan

import (
	"context"
	"fmt"
	"time"
)

// How often the machine is looked at: reading wakes a sleeping laptop card, so rarely while nothing runs.
const (
	lookBusy = 2 * time.Second
	lookIdle = 30 * time.Second
	busyFor  = time.Minute // after the last work
	// breather is the longest pause between batches of ingestion while it goes slowly.
	breather = time.Second
)

// Of the card's memory: how long it must be short or plentiful before there is a new plan, and how plentiful.
const (
	shortFor   = 10 * time.Second
	spareFor   = 5 * time.Minute
	spareBytes = 300 * MiB
	// fullCard is how much more than is seen other programs are taken to want where the card is full: it cannot be seen.
	fullCard = 1 * GiB
)

// pressure is what other programs do to the card. Zero times: nothing.
type pressure struct {
	short, spare, gone time.Time
}

// Run looks at the machine until ctx ends: heat, battery, and what other programs take of the card.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		k.noteVersion(ctx)
		if _, err := k.Planner(ctx); err != nil { // an engine that came later has its say here
			return err
		}
		k.look(ctx)
		k.mu.Lock()
		wait := lookIdle
		if time.Since(k.worked) < busyFor {
			wait = lookBusy
		}
		k.mu.Unlock()
		if err := k.rest(ctx, wait); err != nil {
			return err
		}
	}
}

// rest waits, and tells at once what is lent to whom meanwhile.
func (k *Keeper) rest(ctx context.Context, wait time.Duration) error {
	over := time.After(wait)
	for {
		select {
		case <-k.planner.Changed():
			k.mu.Lock()
			k.tell()
			k.mu.Unlock()
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// noteVersion has the next plan made anew if the engine was updated meanwhile: it may count layers in another way.
func (k *Keeper) noteVersion(ctx context.Context) {
	if !k.planned() {
		return
	}
	version, err := k.cfg.Engine.Version(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && k.settled && version != k.request.Ollama {
		k.settled = false
		k.notice(fmt.Sprintf("Ollama is now %s instead of %s: the plan is made anew", version, k.request.Ollama))
	}
}

// look takes one reading and draws its conclusions.
func (k *Keeper) look(ctx context.Context) {
	hw := k.cfg.Read(ctx)
	running, silent := k.cfg.Engine.Running(ctx)
	if ctx.Err() != nil {
		return
	}
	k.observe(ctx, hw)
	usage := k.planner.Usage()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hardware = hw
	if k.sees(hw) {
		// While a plan waits to take force, or the engine does not say what it holds, nothing can be told.
		if silent == nil && !usage.Replacing {
			k.weigh(hw.GPUs, k.taken(running, usage))
		} else {
			k.pressure = pressure{}
		}
	}
	k.tell()
}

// observe has the governor look at a reading. The smaller model that it offers is named: the engine is asked once what it has.
func (k *Keeper) observe(ctx context.Context, hw Hardware) {
	k.mu.Lock()
	advice := k.governor.Observe(time.Now(), hw, k.rate)
	first := advice.Offer && !k.advice.Offer
	k.mu.Unlock()
	var pulled []Model
	if first {
		pulled = k.lighter(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if first {
		k.pulled = pulled
	}
	if advice.Offer {
		advice.Model = k.smallerName()
		advice.Reason += " " + k.wouldDo()
	}
	if advice.Level != k.advice.Level {
		k.notice(advice.Reason)
	}
	k.advice = advice
}

// taken is what our models take of the card: those of the engine by its own word, for it may have unloaded one; the
// others by what they were lent. k.mu is held.
func (k *Keeper) taken(running []Running, usage Usage) int64 {
	r := k.request
	r.Learned = k.learned
	sum := k.ours(running, r).gpu
	for _, t := range usage.GPU.Tenants {
		if !t.Role.interactive() {
			sum += t.Bytes
		}
	}
	return sum
}

// sees reports whether the planned card answers. It plans without one that is gone, and with one that has come. k.mu is held.
func (k *Keeper) sees(hw Hardware) bool {
	if len(k.request.Hardware.GPUs) == 0 {
		if _, ok := (Request{Hardware: hw}).card(); ok {
			k.request.Hardware.GPUs = hw.GPUs
			k.replan("there is a graphics card now")
		}
		return false
	}
	card, _ := k.request.card()
	_, there := same(hw.GPUs, card)
	// A failed reading proves nothing: the driver needs a while after a laptop's sleep.
	if lasts(&k.pressure.gone, time.Now(), !there) >= shortFor {
		k.pressure = pressure{}
		k.request.Hardware.GPUs = nil
		k.replan("the graphics card no longer answers: everything moves to the CPU")
	}
	return there
}

// weigh compares the card's memory with the plan's; ours is what our models take of it. What is short is made room
// for where other programs have taken more than the plan knows, or where there is something left to give. k.mu is held.
func (k *Keeper) weigh(gpus []GPU, ours int64) {
	card, _ := k.request.card()
	now, _ := same(gpus, card)
	available := min(now.FreeBytes+ours, now.TotalBytes)
	full := now.FreeBytes < brim && k.planner.Plan().GPU.UsedBytes > 0
	crowded := now.FreeBytes < k.request.MarginBytes/2 && (full || available < card.FreeBytes-brim)
	short := lasts(&k.pressure.short, time.Now(), crowded) >= shortFor
	spare := lasts(&k.pressure.spare, time.Now(), available > card.FreeBytes+spareBytes) >= spareFor
	var why string
	switch {
	case short && full:
		available = max(0, min(available, card.FreeBytes)-fullCard)
		why = "other programs fill the graphics card: the plan makes room"
	case short:
		why = fmt.Sprintf("other programs take %d MiB of the graphics card: the plan makes room", mib(card.FreeBytes-available))
	case spare:
		why = fmt.Sprintf("%d MiB of the graphics card are free again: the plan uses them", mib(available-card.FreeBytes))
	default:
		return
	}
	k.pressure = pressure{}
	k.request.Hardware.GPUs = withFree(gpus, card, available)
	k.replan(why)
}

// Pacer returns what one kind of background work asks before each of its batches. It waits while that is to pause, and
// returns what part of its usual batch it should do. Work that is to go slowly rests for as long as it works, but not
// longer than a breather: with a fixed rest small batches would hardly get on, on battery for hours.
func (k *Keeper) Pacer() func(ctx context.Context) (scale float64, err error) {
	var began time.Time // the last batch
	return func(ctx context.Context) (float64, error) {
		advice, err := k.goAhead(ctx)
		if err != nil {
			return 0, err
		}
		scale := 1.0
		if advice.Level > 0 {
			k.mu.Lock()
			rest := min(breather, time.Since(began))
			k.mu.Unlock()
			scale, err = advice.BatchScale, sleep(ctx, rest)
		}
		k.mu.Lock()
		began = time.Now()
		k.mu.Unlock()
		return scale, err
	}
}

// goAhead returns the advice that holds once background work need not pause.
func (k *Keeper) goAhead(ctx context.Context) (Advice, error) {
	for {
		k.mu.Lock()
		k.worked = time.Now()
		advice, changed := k.advice, k.changed
		k.mu.Unlock()
		if !advice.Pause {
			return advice, ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return advice, ctx.Err()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Status is what there is to show of a keeper's work.
type Status struct {
	Hardware Hardware      `json:"hardware"`
	Usage    Usage         `json:"usage"`
	Loads    map[Role]Load `json:"loads"`
	Advice   Advice        `json:"advice"`
	Notices  []Notice      `json:"notices"` // the newest last
}

// News returns a channel that is closed when what [Keeper.Status] says has
// changed. Take it before asking, and a new one after each change.
func (k *Keeper) News() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// Status returns the state of the machine as it was last looked at.
func (k *Keeper) Status(ctx context.Context) (Status, error) {
	planner, err := k.current(ctx)
	if err != nil {
		return Status{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	loads := map[Role]Load{}
	for role, l := range k.loads {
		loads[role] = l
	}
	return Status{
		Hardware: k.hardware, Usage: planner.Usage(), Loads: loads, Advice: k.advice, Notices: append([]Notice{}, k.notices...),
	}, nil
}
