package hwplan

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// fewer is how many layers less are tried after a load that failed, and tries how often.
const (
	fewer = 2
	tries = 3
	// lighterPart is how much smaller a model must be to be a help in the place of another.
	lighterPart = 0.6
)

// stepBack makes a plan that asks for less, after p went wrong, and reports whether it could, or another's failure had
// led to a new plan already: of several calls that fail at once each would take a step.
func (k *Keeper) stepBack(ctx context.Context, role Role, p Placement, why string, freeBefore int64) bool {
	var lighter []Model
	if role == Chat {
		lighter = k.lighter(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if role == Chat {
		k.pulled = lighter
	}
	if !loadsAlike(p, k.planner.coming(role)) {
		return true
	}
	return k.crowded(role, p, why, freeBefore) || k.retreat(role, p, why, lighter)
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

// retreat plans with less on the GPU, one step a failure: no longer context than was asked for; fewer layers, some
// times; the embedder on the CPU; a smaller model, if the engine has one of lighter; all of the model on the CPU. What
// it learns holds at the next start too. It reports whether there was a step left. k.mu is held.
func (k *Keeper) retreat(role Role, p Placement, why string, lighter []Model) bool {
	card, ok := k.request.card()
	if !ok || p.VRAMBytes == 0 {
		return false
	}
	k.failures[role]++
	instead := k.instead(p, lighter)
	var step string
	switch {
	case role == Chat && p.NumCtx > k.request.Context: // a longer one than was asked for, as there seemed to be room
		k.limit(card, p, k.request.Context+1, p.Offloaded-1)
		step = fmt.Sprintf("%d tokens of context instead of %d are tried", k.request.Context, p.NumCtx)
	case role == Chat && k.failures[role] <= tries && p.Offloaded > fewer:
		k.limit(card, p, p.NumCtx, p.Offloaded-fewer)
		step = fmt.Sprintf("%d layers instead of %d are tried", p.Offloaded-fewer, p.Offloaded)
	case k.request.Embedder != nil && !k.learned.embedderOnCPU(card, k.request.Ollama, k.request.Embedder.Name):
		set(&k.learned.EmbedderOnCPU, modelKey(card, k.request.Ollama, k.request.Embedder.Name), time.Now())
		step = "the embedder goes to the CPU"
	case role == Chat && instead != nil:
		k.standIn(card, *instead)
		step = fmt.Sprintf("%s answers in its place, as Ollama has it and it is smaller", instead.Name)
	case role == Chat:
		k.limit(card, p, p.NumCtx, 0)
		step = "all of it goes to the CPU. " + k.wouldDo()
	default:
		return false
	}
	k.keep()
	k.replan(why + ": " + step)
	return true
}

// limit keeps how many layers of p's model are tried from now on, at a context or a longer one. k.mu is held.
func (k *Keeper) limit(card GPU, p Placement, context, layers int) {
	set(&k.learned.Offload, offloadKey(card, k.request.Ollama, p.Model, context, p.NumBatch), Limit{Layers: layers, Since: time.Now()})
}

// instead is the first of lighter that takes less of the card, as a whole, than p, which did not load; nil if none does. k.mu is held.
func (k *Keeper) instead(p Placement, lighter []Model) *Model {
	for _, m := range lighter {
		whole := Settings{
			Offload: m.Layers, Context: min(k.request.Context, trained(&m)), Batch: k.request.Batch, KV: k.request.KV, NoFlash: k.request.NoFlash,
			Generation: generationOf(k.request.Ollama), CUDAContext: p.Parts.Context,
		}
		if Estimate(m, whole).VRAM() < p.VRAMBytes {
			return &m
		}
	}
	return nil
}

// standIn has m answer in the place of the configured model. k.mu is held.
func (k *Keeper) standIn(card GPU, m Model) {
	if k.request.InPlaceOf == nil {
		k.request.InPlaceOf = k.request.Chat
	}
	k.request.Chat = &m
	k.failures[Chat] = 0
	set(&k.learned.Instead, modelKey(card, k.request.Ollama, k.cfg.Chat), StandIn{Model: m.Name, Since: time.Now()})
}

// recallStandIn puts the model that answered in the place of r's, which did not load on its card, there again, if the engine still has it.
func (k *Keeper) recallStandIn(ctx context.Context, r *Request) {
	card, ok := r.card()
	s, known := r.Learned.Instead[modelKey(card, r.Ollama, k.cfg.Chat)]
	if !ok || !known || r.Chat == nil {
		return
	}
	if m, err := k.cfg.Engine.Model(ctx, s.Model); err == nil {
		r.InPlaceOf, r.Chat = r.Chat, &m
	}
}

// lighter are the language models that the engine has and that are much smaller than the planned one, the largest first.
func (k *Keeper) lighter(ctx context.Context) []Model {
	k.mu.Lock()
	chat := k.request.Chat
	k.mu.Unlock()
	if chat == nil {
		return nil
	}
	list, err := k.cfg.Engine.Models(ctx)
	if err != nil {
		return nil
	}
	var models []Model
	for _, stored := range list {
		if float64(stored.Bytes) > lighterPart*float64(chat.FileBytes) {
			continue
		}
		if m, err := k.cfg.Engine.Model(ctx, stored.Name); err == nil && slices.Contains(m.Roles, Chat) {
			models = append(models, m)
		}
	}
	slices.SortStableFunc(models, func(a, b Model) int { return cmp.Compare(b.FileBytes, a.FileBytes) })
	return models
}

// wouldDo is the offer of a smaller model, as a sentence: one that the engine has, or else one of the catalogue. k.mu is held.
func (k *Keeper) wouldDo() string {
	name := k.smallerName()
	if name == "" {
		return "A smaller model would be faster."
	}
	fetch := ""
	if !slices.ContainsFunc(k.pulled, func(m Model) bool { return sameModel(m.Name, name) }) {
		fetch = fmt.Sprintf(" (`ollama pull %s` fetches it)", name)
	}
	return fmt.Sprintf("%s would be faster%s: set llm.model to it.", name, fetch)
}

// smallerName is the smaller model that is offered: the largest that the engine has, or else one of the catalogue that
// takes less; "" where none is known. k.mu is held.
func (k *Keeper) smallerName() string {
	if len(k.pulled) > 0 {
		return k.pulled[0].Name
	}
	for _, m := range smaller() {
		if chat := k.request.Chat; chat != nil && float64(m.FileBytes) <= lighterPart*float64(chat.FileBytes) {
			return m.Name
		}
	}
	return ""
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
