package hwplan

import "time"

// Usage is what is lent, and who waits.
type Usage struct {
	GPU Lending `json:"gpu"`
	RAM Lending `json:"ram"`
	// Replacing says that a new plan waits for holders to release.
	Replacing bool `json:"replacing"`
}

// Lending is what is lent of one device's memory. Of the RAM it can be more than is lendable: see [Planner].
type Lending struct {
	Name          string    `json:"name,omitempty"`
	LendableBytes int64     `json:"lendable_bytes"`
	LentBytes     int64     `json:"lent_bytes"`
	Tenants       []Tenant  `json:"tenants"`
	Waiters       []Waiting `json:"waiters"` // in the order in which they are served
}

// A Tenant holds memory of a device.
type Tenant struct {
	Role   Role      `json:"role"`
	Model  string    `json:"model"`
	Bytes  int64     `json:"bytes"`
	Since  time.Time `json:"since"`
	Wanted bool      `json:"wanted"` // it was asked to yield
}

// Waiting is a role that waits for memory of a device.
type Waiting struct {
	Role  Role      `json:"role"`
	Since time.Time `json:"since"`
}

// Usage returns what is lent and who waits, as of now.
func (p *Planner) Usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	gpu := func(a amount) int64 { return a.gpu }
	ram := func(a amount) int64 { return a.ram }
	return Usage{GPU: p.lending(p.plan.GPU, gpu), RAM: p.lending(p.plan.RAM, ram), Replacing: p.next != nil}
}

// lending is what is lent of the memory that of picks.
func (p *Planner) lending(b Budget, of func(amount) int64) Lending {
	l := Lending{Name: b.Name, LendableBytes: b.Lendable(), Tenants: []Tenant{}, Waiters: []Waiting{}}
	for _, role := range p.holders() {
		g := p.held[role]
		if n := of(demand(g.placement)); n > 0 {
			l.LentBytes += n
			l.Tenants = append(l.Tenants, Tenant{Role: role, Model: g.placement.Model, Bytes: n, Since: g.since, Wanted: g.asked})
		}
	}
	for _, w := range p.queue {
		if of(demand(p.target().placement(w.role))) > 0 {
			l.Waiters = append(l.Waiters, Waiting{Role: w.role, Since: w.since})
		}
	}
	return l
}
