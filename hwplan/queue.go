package hwplan

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// turn is how long a batch role has its memory before another batch role may ask
// for it: some times what loading a model takes.
const turn = time.Minute

// interactive reports whether somebody sits and waits for what the role does.
func (r Role) interactive() bool { return r == Chat || r == Embedding }

// rank orders roles by how dear it is to unload them, dearest first: without the
// embedder there is neither search nor ingestion.
func (r Role) rank() int {
	return -slices.Index([]Role{Captions, OCR, Transcription, Reranking, Chat, Embedding}, r)
}

// serveQueue lends to everyone in the queue who may be served, and asks for the memory of the others.
func (p *Planner) serveQueue() {
	var ahead []Role // who waits before
	for _, w := range slices.Clone(p.queue) {
		switch g := p.held[w.role]; {
		case g != nil:
			p.request(g, w.role)
		case slices.Contains(ahead, w.role):
			// One grant a role: it waits for the one ahead.
		case p.mayLend(w.role, ahead):
			p.lend(w)
		default:
			p.makeRoom(w.role, ahead)
			ahead = append(ahead, w.role)
		}
	}
}

// mayLend reports whether role fits now, and leaves room for those ahead of it.
func (p *Planner) mayLend(role Role, ahead []Role) bool {
	if p.next != nil && (demand(p.plan.placement(role)).gpu > 0 || !loadsAlike(p.plan.placement(role), p.next.placement(role))) {
		return false
	}
	stay := slices.DeleteFunc(p.staying(), func(r Role) bool { return p.held[r].asked })
	return fits(p.plan, role, p.holders()) && fits(p.target(), role, slices.Concat(stay, ahead))
}

// makeRoom asks as few holders as let role in beside those ahead of it; nobody,
// where it could not come beside them.
func (p *Planner) makeRoom(role Role, ahead []Role) {
	plan, stay := p.target(), p.staying()
	var going []Role
	for _, r := range p.askable(role) {
		if fits(plan, role, slices.Concat(stay, ahead)) {
			break
		}
		stay = slices.DeleteFunc(stay, func(s Role) bool { return s == r })
		going = append(going, r)
	}
	if !fits(plan, role, slices.Concat(stay, ahead)) {
		return
	}
	// A large one that goes may make it needless that a smaller one goes.
	for _, r := range slices.Backward(going) {
		if fits(plan, role, slices.Concat(stay, ahead, []Role{r})) {
			stay = append(stay, r)
			continue
		}
		p.request(p.held[r], role)
	}
}

// askable returns the holders that role may ask, in the order in which they are
// to be asked: first those asked already. Chat, though asked for a batch, is not
// one of them for the embedder that fits beside it: chat may take long to go.
func (p *Planner) askable(role Role) []Role {
	may := slices.DeleteFunc(p.staying(), func(holder Role) bool {
		yields := !holder.interactive() || holder == Chat && !role.interactive()
		return !yields && fits(p.target(), role, []Role{holder})
	})
	slices.Reverse(may)
	slices.SortStableFunc(may, func(a, b Role) int {
		switch asked := p.held[a].asked; {
		case asked == p.held[b].asked:
			return 0
		case asked:
			return -1
		}
		return 1
	})
	return may
}

// request asks g's holder for its memory on behalf of role; once its turn is over, where both are batch or the same.
func (p *Planner) request(g *Grant, role Role) {
	peers := g.role == role || !g.role.interactive() && !role.interactive()
	end := g.since.Add(turn)
	switch {
	case !peers || !time.Now().Before(end):
		g.ask()
	case p.wake.IsZero() || end.Before(p.wake):
		p.wake = end
	}
}

// holders returns the roles that hold a grant, dearest first.
func (p *Planner) holders() []Role {
	return slices.SortedFunc(maps.Keys(p.held), func(a, b Role) int { return cmp.Compare(a.rank(), b.rank()) })
}

// An amount is memory of both kinds, in bytes.
type amount struct{ gpu, ram int64 }

// demand is what a placement takes. The NPU works in the RAM.
func demand(p Placement) amount {
	if p.Device == OnGPU || p.Device == OnHybrid {
		return amount{p.VRAMBytes, p.RAMBytes}
	}
	return amount{0, p.RAMBytes}
}

// fits reports whether plan has the memory for role beside others. Memory that
// the role does not use is left out; RAM of unknown size is no limit.
func fits(plan Plan, role Role, others []Role) bool {
	own := demand(plan.placement(role))
	sum, mapped := own, role.interactive()
	for _, r := range others {
		d := demand(plan.placement(r))
		sum.gpu += d.gpu
		sum.ram += d.ram
		mapped = mapped && (r.interactive() || d.ram == 0)
	}
	if own.gpu > 0 && sum.gpu > plan.GPU.Lendable() {
		return false
	}
	return own.ram == 0 || mapped || plan.RAM.TotalBytes == 0 || sum.ram <= plan.RAM.Lendable()
}
