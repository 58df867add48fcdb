package hwplan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// What [Planner.Grant] refuses at once, since waiting would not help.
var (
	// ErrNoRole says that the plan has no model for this role.
	ErrNoRole = errors.New("no model is planned for this")
	// ErrWontFit says that the role's model is larger than all the memory that may be lent.
	ErrWontFit = errors.New("its model does not fit into the memory that is free")
)

// A Grant is memory on loan for one role's model. It is memory, not permission:
// it is held for as long as the model is loaded, used or not.
type Grant struct {
	planner   *Planner
	role      Role
	placement Placement
	since     time.Time
	asked     bool
	wanted    chan struct{}
}

// Grant waits until the role's placement fits beside what is lent, and lends it.
// A role has one grant at a time: an adapter keeps it and counts its own users; a
// second caller waits for the first to release it. When ctx ends first, its error
// is returned and nothing is lent.
func (p *Planner) Grant(ctx context.Context, role Role) (*Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := p.enter(role)
	if err != nil {
		return nil, err
	}
	select {
	case <-w.settled:
		return w.grant, w.err
	case <-ctx.Done():
		p.leave(w)
		return nil, ctx.Err()
	}
}

// Placement is where and how to load the model. A new plan that only corrects its bytes changes it.
func (g *Grant) Placement() Placement {
	g.planner.mu.Lock()
	defer g.planner.mu.Unlock()
	return g.placement
}

// Wanted is closed when somebody who may ask for this memory needs it, or when
// the next plan moves the model. The holder yields at a safe point of its own
// choosing. It stays closed even if whoever asked has given up.
func (g *Grant) Wanted() <-chan struct{} { return g.wanted }

// Moves reports whether the next plan moves the model: its holder should load it
// anew as soon as nobody uses it. Otherwise who wants the memory is in no hurry.
func (g *Grant) Moves() bool {
	p := g.planner
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != nil && !slices.Contains(p.staying(), g.role)
}

// Release gives the memory back. Call it only when it is really free: the child
// has ended, the engine has unloaded. Calling it again does nothing.
func (g *Grant) Release() {
	p := g.planner
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[g.role] == g {
		delete(p.held, g.role)
		p.serve()
	}
}

// ask closes Wanted.
func (g *Grant) ask() {
	if !g.asked {
		g.asked = true
		close(g.wanted)
	}
}

// A waiter is a call of Grant in the queue. Its outcome may be read once settled is closed.
type waiter struct {
	role    Role
	since   time.Time
	grant   *Grant
	err     error
	settled chan struct{}
}

func (w *waiter) settle(g *Grant, err error) {
	w.grant, w.err = g, err
	close(w.settled)
}

// enter puts a waiter for role behind those of its kind: interactive or batch.
func (p *Planner) enter(role Role) (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := possible(p.target(), role); err != nil {
		return nil, err
	}
	w := &waiter{role: role, since: time.Now(), settled: make(chan struct{})}
	at := len(p.queue)
	if role.interactive() {
		if i := slices.IndexFunc(p.queue, func(q *waiter) bool { return !q.role.interactive() }); i >= 0 {
			at = i
		}
	}
	p.queue = slices.Insert(p.queue, at, w)
	p.serve()
	return w, nil
}

// leave takes w out of the queue, or back what it was lent at the last moment.
func (p *Planner) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.grant != nil {
		delete(p.held, w.role)
	}
	p.queue = slices.DeleteFunc(p.queue, func(q *waiter) bool { return q == w })
	p.serve()
}

// lend settles w with a grant.
func (p *Planner) lend(w *waiter) {
	g := &Grant{
		planner: p, role: w.role, placement: p.plan.placement(w.role),
		since: time.Now(), wanted: make(chan struct{}),
	}
	p.held[w.role] = g
	p.queue = slices.DeleteFunc(p.queue, func(q *waiter) bool { return q == w })
	w.settle(g, nil)
}

// possible says why a role cannot have its memory under plan, even alone.
func possible(plan Plan, role Role) error {
	if _, ok := plan.Placement(role); !ok {
		return fmt.Errorf("%s: %w", role, ErrNoRole)
	}
	if !fits(plan, role, nil) {
		return fmt.Errorf("%s: %w", role, ErrWontFit)
	}
	return nil
}
