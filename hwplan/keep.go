package hwplan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/natefinch/atomic"
)

// FreeVRAM reads how much of the planned card is free now, for [Keeper.Loaded] to compare with. It is negative where
// there is no such card, or it does not answer.
func (k *Keeper) FreeVRAM(ctx context.Context) int64 {
	k.mu.Lock()
	card, ok := k.request.card()
	k.mu.Unlock()
	if !ok {
		return -1
	}
	now, there := same(k.cfg.Read(ctx).GPUs, card)
	if !there {
		return -1
	}
	return now.FreeBytes
}

// Spills tells a load that is not where it was planned.
const (
	// spilled is the part of the planned VRAM below which layers must have gone elsewhere.
	spilled = 0.85
	// brim is what Windows' driver leaves free when it has begun to move what is too much to the RAM.
	brim = 64 * MiB
)

// Loaded compares a model that is loaded as p says with its plan, and notes what
// is learned: what a CUDA context takes, and what loads. It reports false where
// the model is not where it was planned and a new plan has been made: the caller
// gives its memory back and asks again. Took is 0 for a model that was in the
// engine's memory already; freeBefore is the free VRAM before the load, negative where that is not known.
func (k *Keeper) Loaded(ctx context.Context, role Role, p Placement, took time.Duration, freeBefore int64) bool {
	running, err := k.cfg.Engine.Running(ctx)
	if err != nil {
		k.cfg.Log.Warn("the engine does not say what it loaded", "err", err)
		return true
	}
	if took == 0 {
		freeBefore = -1
	}
	m := measurement{running: running, before: freeBefore, after: k.FreeVRAM(ctx)}
	stays, why := k.compare(role, p, took, m)
	if why != "" {
		return !k.stepBack(ctx, role, p, why, freeBefore)
	}
	return stays
}

// A measurement is what is seen of a load.
type measurement struct {
	running       []Running // by the engine
	before, after int64     // free VRAM; negative: not known
}

// compare notes a load and reports whether it can stay; why is in words what calls for less on the GPU.
func (k *Keeper) compare(role Role, p Placement, took time.Duration, m measurement) (stays bool, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.tell()
	load, listed := k.note(role, p, took, m.running)
	card, onCard := k.request.card()
	measured := onCard && p.VRAMBytes > 0 && listed
	if measured && load.MeasuredBytes == 0 { // fewer layers would not help
		k.notice(fmt.Sprintf("Ollama computes %s on the CPU alone, though the plan gives it the graphics card: Ollama does not see the card", p.Model))
		measured = false
	}
	windows := k.request.Hardware.OS == "windows"
	switch {
	case !measured:
		k.failures[role] = 0
		return true, ""
	case float64(load.MeasuredBytes) < spilled*float64(load.PlannedBytes) || windows && m.after >= 0 && m.after < brim:
		return false, fmt.Sprintf("%s did not go where it was planned: %d MiB of it are on the GPU instead of %d", p.Model, mib(load.MeasuredBytes), mib(load.PlannedBytes))
	case took > 0 && role == Chat && p.Offloaded == p.Layers && k.unloaded(Embedding, m.running):
		k.limit(card, p, p.NumCtx, p.Offloaded-1)
		k.keep()
		k.replan(fmt.Sprintf("Ollama unloaded the embedder to load all of %s: with one layer less it does not", p.Model))
		return false, ""
	}
	k.failures[role] = 0
	k.learnCard(card, p, load, m)
	k.keep()
	if role == Embedding {
		k.recount(card)
	}
	return true, ""
}

// recount makes the plan anew where what the embedder's load has shown of a CUDA context changes how the language model
// is to be loaded, unless it is loaded already: then that would cost a load. k.mu is held.
func (k *Keeper) recount(card GPU) {
	r, usage := k.request, k.planner.Usage()
	r.Learned = k.learned
	planned, seen := k.request.cudaContext(card), r.cudaContext(card)
	if seen == planned || usage.Replacing || holds(usage, Chat) {
		return
	}
	now, next := k.planner.Plan(), Fit(r)
	if loadsAlike(now.Roles[Chat], next.Roles[Chat]) || !loadsAlike(now.Roles[Embedding], next.Roles[Embedding]) {
		return
	}
	k.replan(fmt.Sprintf("a process on the graphics card takes %d MiB beside its model, and %d were planned: the language model is planned anew",
		mib(seen), mib(planned)))
}

// note keeps what a load took; listed reports whether the engine names the model. k.mu is held.
func (k *Keeper) note(role Role, p Placement, took time.Duration, running []Running) (load Load, listed bool) {
	load = k.loads[role]
	load.Model, load.At, load.Seconds, load.PlannedBytes = p.Model, time.Now(), took.Seconds(), p.VRAMBytes-p.Parts.Context
	load.MeasuredBytes, load.RAMBytes = 0, 0
	if took > 0 {
		load.Loads++
	}
	i := slices.IndexFunc(running, func(m Running) bool { return sameModel(m.Name, p.Model) })
	if i >= 0 {
		load.MeasuredBytes, load.RAMBytes = running[i].VRAMBytes, running[i].Bytes-running[i].VRAMBytes
	}
	k.loads[role] = load
	return load, i >= 0
}

// learnCard notes what a context takes of the only card. Of several it says when the planned one has hardly lost
// memory to the load. k.mu is held.
func (k *Keeper) learnCard(card GPU, p Placement, load Load, m measurement) {
	if m.before < 0 || m.after < 0 {
		return
	}
	taken := m.before - m.after
	switch {
	case len(k.request.Hardware.GPUs) > 1 && taken < load.MeasuredBytes/2:
		k.notice(fmt.Sprintf("Ollama loaded %s on another card than number %d%s, which is planned with: it counts the cards as the driver does if it is started with CUDA_DEVICE_ORDER=PCI_BUS_ID",
			p.Model, card.Index, named(card.Name)))
	case len(k.request.Hardware.GPUs) == 1 && taken > 0:
		k.learned.learnContext(contextKey(card, k.request.Ollama), taken, load.MeasuredBytes)
	}
}

// unloaded reports whether a role's model was loaded on the card and is there no more, though its tenant did not give
// it up. k.mu is held.
func (k *Keeper) unloaded(role Role, running []Running) bool {
	l, ok := k.loads[role]
	return ok && holds(k.planner.Usage(), role) && l.MeasuredBytes > 0 && !slices.ContainsFunc(running, func(r Running) bool { return sameModel(r.Name, l.Model) })
}

// holds reports whether a role has memory of the card.
func holds(u Usage, role Role) bool {
	return slices.ContainsFunc(u.GPU.Tenants, func(t Tenant) bool { return t.Role == role })
}

// RanOut makes a new plan after a load, or a call, that failed for want of memory,
// and reports whether it did: the caller gives its memory back and asks again. FreeBefore is the free VRAM before the
// load, negative for a call.
func (k *Keeper) RanOut(ctx context.Context, role Role, p Placement, err error, freeBefore int64) bool {
	if !outOfMemory(err) {
		return false
	}
	return k.stepBack(ctx, role, p, fmt.Sprintf("%s ran out of memory (%v)", p.Model, err), freeBefore)
}

// Evicted notes that an engine had to load a model again that should have been in its memory.
func (k *Keeper) Evicted(role Role, model string, took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.loads[role]
	l.Model = model
	l.Loads, l.Unexpected, l.Seconds, l.At = l.Loads+1, l.Unexpected+1, took.Seconds(), time.Now()
	k.loads[role] = l
	k.notice(fmt.Sprintf("%s was unloaded by its engine, perhaps for another program's model, and had to be loaded again (%.1f s)", model, took.Seconds()))
	k.tell()
}

// Answered notes how fast the language model wrote.
func (k *Keeper) Answered(p Placement, tokens int, took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := speedKey(p.Model, p.Offloaded)
	baseline := k.learned.Speeds[key]
	if took > 0 && tokens > 0 {
		k.rate = Rate{Recent: float64(tokens) / took.Seconds(), Baseline: baseline, At: time.Now()}
	}
	if k.advice.Level == 0 { // what a hot card does is no measure of it
		k.learned.learnSpeed(key, tokens, took)
		k.keep()
	}
}

// keep writes what was learned. It is derived, so that it could not be written is worth a line in the log only. k.mu is held.
func (k *Keeper) keep() {
	if k.cfg.Path == "" {
		return
	}
	raw, err := k.learned.encode()
	if err == nil {
		err = atomic.WriteFile(k.cfg.Path, raw)
	}
	if err != nil {
		k.cfg.Log.Warn("what was learned about this machine was not kept", "err", err)
	}
}
