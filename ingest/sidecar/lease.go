package sidecar

import (
	"context"
	"errors"
	"sync"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// A lease is the memory of one role, shared by the engines that serve it: a planner
// lends a role one grant at a time.
type lease struct {
	planner func(context.Context) (*hwplan.Planner, error)
	role    hwplan.Role
	device  hwplan.Device // where its engines compute: what is planned elsewhere is for another; "": anywhere
	turn    chan struct{} // holds a token while somebody asks

	mu    sync.Mutex
	grant *hwplan.Grant
	users int
	freed chan struct{} // closed when the grant was given back
}

func newLease(planner func(context.Context) (*hwplan.Planner, error), role hwplan.Role, device hwplan.Device) *lease {
	return &lease{planner: planner, role: role, device: device, turn: make(chan struct{}, 1)}
}

// errNotLent says that an engine for the GPU has no memory there by the plan: another engine is to read.
var errNotLent = errors.New("the plan lends it no memory of a graphics card")

// A loan is one user's part of a lease. Its zero value is memory that nobody counts.
type loan struct {
	placement hwplan.Placement
	wanted    <-chan struct{} // closed when the memory should be given back; nil: never
	give      func()          // to be called once, when the process has ended; may be nil
}

// asked reports whether somebody wants the memory.
func (l loan) asked() bool {
	select {
	case <-l.wanted:
		return true
	default:
		return false
	}
}

func (l loan) end() {
	if l.give != nil {
		l.give()
	}
}

// take waits for the memory.
func (l *lease) take(ctx context.Context) (got loan, err error) {
	err = parse.Waiting(ctx, parse.ForTurn, func() error {
		got, err = l.borrow(ctx)
		return err
	})
	return got, err
}

// borrow waits for the memory. Who comes when it is wanted back waits until all who have it have gone, and asks anew.
func (l *lease) borrow(ctx context.Context) (loan, error) {
	if l.planner == nil {
		return l.unlent(hwplan.Plan{})
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return loan{}, ctx.Err()
	}
	for {
		got, busy := l.join()
		if busy == nil && got.give == nil {
			return l.ask(ctx)
		}
		if busy == nil {
			return got, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return loan{}, ctx.Err()
		}
	}
}

// join adds a user to the grant in hand, if there is one. Where that is wanted back it returns what is closed when it has gone.
func (l *lease) join() (loan, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grant == nil {
		return loan{}, nil
	}
	got := loan{placement: l.grant.Placement(), wanted: l.grant.Wanted(), give: l.give}
	if got.asked() {
		return loan{}, l.freed
	}
	l.users++
	return got, nil
}

// ask gets a grant. A plan that has no such role, or has it on a device that is another engine's, has nothing to
// lend, and what computes on the CPU nothing to be kept from.
func (l *lease) ask(ctx context.Context) (loan, error) {
	planner, err := l.planner(ctx)
	if err != nil {
		return loan{}, err
	}
	if planner == nil {
		return l.unlent(hwplan.Plan{})
	}
	if placement, _ := planner.Plan().Placement(l.role); !l.suits(placement) {
		return l.unlent(planner.Plan())
	}
	grant, err := planner.Grant(ctx, l.role)
	switch {
	case errors.Is(err, hwplan.ErrNoRole), errors.Is(err, hwplan.ErrWontFit) && l.device == hwplan.OnGPU:
		return l.unlent(planner.Plan())
	case err != nil:
		return loan{}, err
	case !l.suits(grant.Placement()): // the plan has changed
		grant.Release()
		return l.unlent(planner.Plan())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant, l.users, l.freed = grant, 1, make(chan struct{})
	return loan{placement: grant.Placement(), wanted: grant.Wanted(), give: l.give}, nil
}

func (l *lease) suits(p hwplan.Placement) bool { return l.device == "" || p.Device == l.device }

// unlent is what there is where nothing is lent: for the GPU nothing, for the CPU the threads that others get there.
func (l *lease) unlent(plan hwplan.Plan) (loan, error) {
	if l.device == hwplan.OnGPU {
		return loan{}, errNotLent
	}
	var got loan
	for _, placements := range []map[hwplan.Role]hwplan.Placement{plan.Roles, plan.Lent} {
		for _, p := range placements {
			got.placement.NumThread = max(got.placement.NumThread, p.NumThread)
		}
	}
	return got, nil
}

func (l *lease) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users == 0 {
		l.grant.Release()
		l.grant = nil
		close(l.freed)
	}
}
