package hwplan

import (
	"slices"
	"sync"
	"time"
)

// A Planner lends the memory of one plan, and is the one owner of every byte of
// it: who loads a model holds a [Grant]. It never kills: it asks a holder for
// its memory ([Grant.Wanted]) and waits until that is free ([Grant.Release]).
//
// The rules, which queue.go carries out:
//
//   - Chat and embedding are interactive, the others are batch. A waiting
//     interactive role goes before every waiting batch role; within each of the
//     two, who came first goes first.
//   - Who waits asks as few holders as let it in, the lowest batch role first
//     (captions, OCR, transcription, reranking: the lower, the sooner it reaches
//     a page's end), then chat, then the embedder. Batch asks chat at once, and
//     chat goes when nobody has asked a question for a while. The embedder is
//     asked only by what never fits beside it; chat and embedder each other too.
//   - Batch roles ask one another only after a turn, or they would load and
//     unload at each page. An interactive role asks them at once.
//   - One may be served before those who wait ahead of it if they still fit once
//     everybody already asked is gone. It need never go for them to come.
//   - On the GPU the sum of grants is never more than the plan in force says is
//     lendable. RAM is advice: the models of chat and embedding are files mapped
//     into memory, and what has no room is read from the disk again. So these two
//     count each other not at all there and fit alone always; beside a batch role,
//     whose memory is real, everything must fit, as on the GPU.
type Planner struct {
	mu      sync.Mutex
	plan    Plan
	next    *Plan // what Replace was given, until it takes force
	held    map[Role]*Grant
	queue   []*waiter     // in the order in which they are to be served
	changed chan struct{} // closed at the next change; nil while nobody looks

	wake   time.Time   // when the next turn ends that somebody waits for; zero: none
	waking *time.Timer // fires then
}

// NewPlanner returns a planner that lends what plan says is free. The plan's map and slices are its own from now on.
func NewPlanner(plan Plan) *Planner {
	return &Planner{plan: plan, held: map[Role]*Grant{}}
}

// Plan is the plan in force. Its map and slices are for reading only.
func (p *Planner) Plan() Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plan
}

// Replace makes plan the next one: after a measurement, when something else took
// or gave back memory, or when the card is lost (a plan for the CPU). Holders
// whose model moves in it, and those who would no longer fit, are asked for their
// memory; the others keep their grant, with the new plan's bytes. It takes force
// when those have released. Until then nothing more is lent but roles in RAM that
// both plans place alike. A later Replace takes the place of one that still waits.
func (p *Planner) Replace(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = &plan
	p.serve()
}

// Changed returns a channel that is closed when what [Planner.Usage] or
// [Planner.Plan] say has changed. Take it before reading them, and a new one after each change.
func (p *Planner) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// serve lends what can be lent, asks for what is short, and tells who looks that something changed.
func (p *Planner) serve() {
	p.wake = time.Time{}
	p.switchPlan()
	p.serveQueue()
	if p.waking != nil {
		p.waking.Stop()
	}
	if !p.wake.IsZero() {
		p.waking = time.AfterFunc(time.Until(p.wake), p.turnOver)
	}
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// turnOver serves the queue when somebody's turn has ended.
func (p *Planner) turnOver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve()
}

// switchPlan lets the next plan take force if every grant left is one of it.
func (p *Planner) switchPlan() {
	if p.next == nil {
		return
	}
	staying := p.staying()
	for role, g := range p.held {
		if !slices.Contains(staying, role) {
			g.ask()
		}
	}
	if len(staying) < len(p.held) {
		return
	}
	p.plan, p.next = *p.next, nil
	for role, g := range p.held {
		g.placement = p.plan.placement(role)
	}
	p.refuse()
}

// refuse sends away who waits for what the plan in force cannot give.
func (p *Planner) refuse() {
	var queue []*waiter
	for _, w := range p.queue {
		if err := possible(p.plan, w.role); err != nil {
			w.settle(nil, err)
			continue
		}
		queue = append(queue, w)
	}
	p.queue = queue
}

// target is the plan that will be in force when all who were asked have gone.
func (p *Planner) target() Plan {
	if p.next != nil {
		return *p.next
	}
	return p.plan
}

// coming is a role's placement when the next plan has taken force.
func (p *Planner) coming(role Role) Placement {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target().placement(role)
}

// staying returns the holders, most precious first, that need not go for the
// next plan to take force; where there is none, all.
func (p *Planner) staying() []Role {
	var stay []Role
	for _, role := range p.holders() {
		if p.next == nil || loadsAlike(p.held[role].placement, p.next.placement(role)) && fits(*p.next, role, stay) {
			stay = append(stay, role)
		}
	}
	return stay
}

// loadsAlike reports whether a model loaded by a need not be loaded again for b.
func loadsAlike(a, b Placement) bool {
	sameCard := a.MainGPU == b.MainGPU || a.MainGPU != nil && b.MainGPU != nil && *a.MainGPU == *b.MainGPU
	return sameCard && loading(a) == loading(b)
}

// loading is a placement without what is only said of it.
func loading(p Placement) Placement {
	p.VRAMBytes, p.RAMBytes, p.GrowthBytes, p.Parts, p.Speed, p.MainGPU = 0, 0, 0, Footprint{}, nil, nil
	return p
}
