package hwplan

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	// fewer is how many layers less are tried after a load that failed, and tries how often.
	fewer, tries = 2, 3
)

// Loaded compares a model that p's engine has just loaded with its plan, and
// notes what is learned: what a CUDA context takes, and what loads. It reports
// false where the model did not go where it was planned and a new plan has been
// made: the caller gives its memory back and asks again. FreeBefore is the free VRAM before the load.
func (k *Keeper) Loaded(ctx context.Context, role Role, p Placement, took time.Duration, freeBefore int64) bool {
	running, err := k.cfg.Engine.Running(ctx)
	if err != nil {
		k.cfg.Log.Warn("the engine does not say what it loaded", "err", err)
		return true
	}
	load := Load{Model: p.Model, At: time.Now(), Seconds: took.Seconds(), PlannedBytes: p.VRAMBytes - p.Parts.Context}
	listed := slices.IndexFunc(running, func(m Running) bool { return sameModel(m.Name, p.Model) })
	if listed >= 0 {
		load.MeasuredBytes, load.RAMBytes = running[listed].VRAMBytes, running[listed].Bytes-running[listed].VRAMBytes
	}
	free := k.FreeVRAM(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	load.Loads, load.Unexpected = k.loads[role].Loads+1, k.loads[role].Unexpected
	k.loads[role] = load
	card, onCard := k.request.card()
	measured := onCard && p.VRAMBytes > 0 && listed >= 0
	if measured && load.MeasuredBytes == 0 { // fewer layers would not help
		k.notice(fmt.Sprintf("Ollama computes %s on the CPU alone, though the plan gives it the graphics card: Ollama does not see the card", p.Model))
		measured = false
	}
	if !measured {
		k.failures[role] = 0
		k.tell()
		return true
	}
	windows := k.request.Hardware.OS == "windows"
	if float64(load.MeasuredBytes) < spilled*float64(load.PlannedBytes) || windows && free >= 0 && free < brim {
		why := fmt.Sprintf("%s did not go where it was planned: %d MiB of it are on the GPU instead of %d", p.Model, mib(load.MeasuredBytes), mib(load.PlannedBytes))
		return !k.crowded(role, p, why, freeBefore) && !k.retreat(role, p, why)
	}
	if role == Chat && p.Offloaded == p.Layers && k.unloaded(Embedding, running) {
		set(&k.learned.Offload, OffloadKey(card, p.Model, p.NumCtx, p.NumBatch), p.Offloaded-1)
		k.keep()
		k.replan(fmt.Sprintf("Ollama unloaded the embedder to load all of %s: with one layer less it does not", p.Model))
		return false
	}
	k.failures[role] = 0
	// Of several cards it is not known on which the model is.
	if freeBefore > 0 && free > 0 && freeBefore > free && len(k.request.Hardware.GPUs) == 1 {
		k.learned.learnContext(ContextKey(card, k.request.Ollama), freeBefore-free, load.MeasuredBytes)
	}
	k.keep()
	k.tell()
	return true
}

// unloaded reports whether a role's model was loaded on the card and is there no more, though its tenant did not give
// it up. k.mu is held.
func (k *Keeper) unloaded(role Role, running []Running) bool {
	l, ok := k.loads[role]
	holds := slices.ContainsFunc(k.planner.Usage().GPU.Tenants, func(t Tenant) bool { return t.Role == role })
	return ok && holds && l.MeasuredBytes > 0 && !slices.ContainsFunc(running, func(r Running) bool { return sameModel(r.Name, l.Model) })
}

// LoadFailed makes a new plan after a load that failed for want of memory, and
// reports whether it did: the caller gives its memory back and asks again. FreeBefore is the free VRAM before the load.
func (k *Keeper) LoadFailed(role Role, p Placement, err error, freeBefore int64) bool {
	if !outOfMemory(err) {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	why := fmt.Sprintf("%s could not be loaded as planned (%v)", p.Model, err)
	return k.crowded(role, p, why, freeBefore) || k.retreat(role, p, why)
}

// crowded reports whether a load of p went wrong because other programs had taken memory since the plan was made. It
// makes one for what was free: that is no measure of the card, so nothing is learned. What the other roles had of it is
// what they were lent, for an Ollama that runs out of memory unloads them all. k.mu is held.
func (k *Keeper) crowded(role Role, p Placement, why string, freeBefore int64) bool {
	card, ok := k.request.card()
	available := freeBefore
	for _, t := range k.planner.Usage().GPU.Tenants {
		if t.Role != role {
			available += t.Bytes
		}
	}
	if !ok || p.VRAMBytes == 0 || freeBefore < 0 || available >= card.FreeBytes-brim {
		return false
	}
	k.request.Hardware.GPUs = withFree(k.request.Hardware.GPUs, card, available)
	k.replan(fmt.Sprintf("%s: other programs have taken %d MiB of the graphics card, and the plan makes room", why, mib(card.FreeBytes-available)))
	return true
}

// retreat plans with less on the GPU: no longer context than need be; fewer layers, some times; then the embedder on the CPU; then all of the model.
// It reports whether there was a step left. k.mu is held.
func (k *Keeper) retreat(role Role, p Placement, why string) bool {
	card, ok := k.request.card()
	if !ok || p.VRAMBytes == 0 {
		return false
	}
	k.failures[role]++
	var step string
	switch {
	case role == Chat && p.NumCtx > k.request.Context: // a longer one than was asked for, as there seemed to be room
		set(&k.learned.Offload, OffloadKey(card, p.Model, k.request.Context+1, p.NumBatch), p.Offloaded-1)
		step = fmt.Sprintf("%d tokens of context instead of %d are tried", k.request.Context, p.NumCtx)
	case role == Chat && k.failures[role] <= tries && p.Offloaded > fewer:
		set(&k.learned.Offload, OffloadKey(card, p.Model, p.NumCtx, p.NumBatch), p.Offloaded-fewer)
		step = fmt.Sprintf("%d layers instead of %d are tried", p.Offloaded-fewer, p.Offloaded)
	case k.request.Embedder != nil && !k.learned.EmbedderOnCPU[EmbedderKey(card, k.request.Embedder.Name)]:
		set(&k.learned.EmbedderOnCPU, EmbedderKey(card, k.request.Embedder.Name), true)
		step = "the embedder goes to the CPU"
	case role == Chat:
		set(&k.learned.Offload, OffloadKey(card, p.Model, p.NumCtx, p.NumBatch), 0)
		step = "all of it goes to the CPU; a smaller model would be faster"
	default:
		return false
	}
	k.keep()
	k.replan(why + ": " + step)
	return true
}

// outOfMemory knows the words of Ollama, llama.cpp and CUDA.
func outOfMemory(err error) bool {
	text := strings.ToLower(err.Error())
	for _, words := range []string{
		"out of memory", "cudamalloc failed", "failed to allocate", "allocation failed", "not enough memory", "erroroutofmemory",
		"cannot be allocated", "requires more system memory", "unable to allocate",
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
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
	key := SpeedKey(p.Model, p.Offloaded)
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

// same finds a card again in another reading.
func same(gpus []GPU, card GPU) (GPU, bool) {
	i := slices.IndexFunc(gpus, func(g GPU) bool { return sameCard(g, card) })
	if i < 0 {
		return GPU{}, false
	}
	return gpus[i], true
}

// sameCard: a card keeps its UUID when another is plugged in; not every driver tells one.
func sameCard(a, b GPU) bool { return a.UUID == b.UUID && (a.UUID != "" || a.Index == b.Index) }

// sameModel compares names as Ollama does: without a tag it is the latest.
func sameModel(a, b string) bool { return tagged(a) == tagged(b) }

func tagged(name string) string {
	if !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":latest"
	}
	return strings.ToLower(name)
}
