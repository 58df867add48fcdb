package hwplan

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// How often the machine is looked at: reading wakes a sleeping laptop card, so rarely while nothing runs.
const (
	lookBusy = 2 * time.Second
	lookIdle = 30 * time.Second
	busyFor  = time.Minute // after the last work
	// breather is the pause between batches of ingestion while it goes slowly.
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
	if _, err := k.Planner(ctx); err != nil {
		return err
	}
	for {
		k.look(ctx)
		k.mu.Lock()
		wait := lookIdle
		if time.Since(k.worked) < busyFor {
			wait = lookBusy
		}
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// look takes one reading and draws its conclusions.
func (k *Keeper) look(ctx context.Context) {
	hw := k.cfg.Read(ctx)
	if ctx.Err() != nil {
		return
	}
	tenants := k.planner.Usage().GPU.Tenants
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hardware = hw
	if advice := k.governor.Observe(time.Now(), hw, k.rate); advice != k.advice {
		if advice.Level != k.advice.Level {
			k.notice(advice.Reason)
		}
		k.advice = advice
	}
	k.weigh(hw, k.taken(tenants))
	k.tell()
}

// taken is what our models take of the card: as measured, where it was. k.mu is held.
func (k *Keeper) taken(tenants []Tenant) int64 {
	r := k.request
	r.Learned = k.learned
	card, _ := r.card()
	sum := int64(0)
	for _, t := range tenants {
		if l, ok := k.loads[t.Role]; ok && l.MeasuredBytes > 0 {
			sum += l.MeasuredBytes + r.cudaContext(card)
		} else {
			sum += t.Bytes
		}
	}
	return sum
}

// weigh compares the card's memory with the plan's; ours is what our models take of it. k.mu is held.
func (k *Keeper) weigh(hw Hardware, ours int64) {
	card, planned := k.request.card()
	now, there := same(hw.GPUs, card)
	switch {
	case planned && !there:
		if lasts(&k.pressure.gone, time.Now(), true) >= lookBusy { // one failed reading proves nothing
			k.pressure = pressure{}
			k.request.Hardware.GPUs = nil
			k.replan("the graphics card no longer answers: everything moves to the CPU")
		}
		return
	case !planned && len(hw.GPUs) > 0:
		k.request.Hardware = hw
		k.replan("there is a graphics card now")
		return
	case !planned:
		return
	}
	k.pressure.gone = time.Time{}
	plan := k.planner.Plan()
	available := min(now.FreeBytes+ours, now.TotalBytes)
	short := lasts(&k.pressure.short, time.Now(), now.FreeBytes < plan.GPU.MarginBytes/2)
	spare := lasts(&k.pressure.spare, time.Now(), available > plan.GPU.FreeBytes+spareBytes)
	if short < shortFor && spare < spareFor {
		return
	}
	if now.FreeBytes < brim {
		available -= fullCard
	}
	why := fmt.Sprintf("other programs take %d MiB of the graphics card: the plan makes room", mib(plan.GPU.FreeBytes-available))
	if short < shortFor {
		why = fmt.Sprintf("%d MiB of the graphics card are free again: the plan uses them", mib(available-plan.GPU.FreeBytes))
	}
	k.pressure = pressure{}
	k.request.Hardware = hw
	k.request.Hardware.GPUs = slices.Clone(hw.GPUs)
	for i := range k.request.Hardware.GPUs {
		if g := &k.request.Hardware.GPUs[i]; g.Index == card.Index {
			g.FreeBytes = available
		}
	}
	k.replan(why)
}

// Pace is asked before each batch of background work. It waits while that is to
// pause, and returns what part of its usual batch it should do.
func (k *Keeper) Pace(ctx context.Context) (scale float64, err error) {
	for {
		k.mu.Lock()
		k.worked = time.Now()
		advice, changed := k.advice, k.changed
		k.mu.Unlock()
		switch {
		case advice.Level == 0:
			return 1, ctx.Err()
		case !advice.Pause:
			return advice.BatchScale, sleep(ctx, breather)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
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
	planner, err := k.Planner(ctx)
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
