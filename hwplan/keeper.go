package hwplan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// An Engine runs the resident models: an Ollama server.
type Engine interface {
	Version(ctx context.Context) (string, error)
	// Model returns what the engine knows of one of its models; the error wraps [ErrNoModel] where it has none of that name.
	Model(ctx context.Context, name string) (Model, error)
	// Models returns those on its disk.
	Models(ctx context.Context) ([]Stored, error)
	// Running returns the models in its memory.
	Running(ctx context.Context) ([]Running, error)
}

// Stored is a model on an engine's disk.
type Stored struct {
	Name  string
	Bytes int64
}

// ErrNoModel says that an engine does not have a model.
var ErrNoModel = errors.New("the engine does not have this model")

// Running is a model in an engine's memory, as the engine sees it: without its process's CUDA context.
type Running struct {
	Name      string `json:"name"`
	Bytes     int64  `json:"bytes"` // in all
	VRAMBytes int64  `json:"vram_bytes"`
	Context   int    `json:"context,omitempty"` // tokens
}

// KeeperConfig is what a [Keeper] needs.
type KeeperConfig struct {
	Read   func(ctx context.Context) Hardware
	Engine Engine
	// Chat and Embedder are the models' names; "" where the engine does not run them. They are kept: the
	// configuration names them, and what answers is never changed in silence.
	Chat, Embedder string
	// MoveEmbedder lets the embedder go to the CPU where that is better.
	MoveEmbedder bool
	// Lent returns what computes in turns with the others, as it is installed now; nil is [DefaultJobs].
	Lent    func() []Job
	Context int    // of Chat, in tokens; 0: 8192, or more where the card has room
	Path    string // of the file of what was learned; "" keeps nothing
	Log     *slog.Logger
}

// A Keeper makes the plan of this machine and keeps it true: it notes what loads
// really take, plans anew when that, or another program, or a lost card, calls for
// it, and watches heat. What a new plan moves is asked for through the [Planner].
type Keeper struct {
	cfg     KeeperConfig
	planner *Planner

	mu       sync.Mutex
	request  Request
	settled  bool // the plan was made with what the engine says, not only with the catalogue
	learned  Learned
	failures map[Role]int // loads that failed in a row
	loads    map[Role]Load
	rate     Rate
	governor Governor
	advice   Advice
	pressure pressure
	hardware Hardware
	notices  []Notice
	pulled   []Model       // much smaller than the planned one, and on the engine's disk, when it was last asked; the largest first
	worked   time.Time     // when background work or a question was last seen
	changed  chan struct{} // closed at the next change of what Status says
}

// A Load is the last time a model was loaded.
type Load struct {
	Model         string    `json:"model"`
	At            time.Time `json:"at"`
	Seconds       float64   `json:"seconds"`
	PlannedBytes  int64     `json:"planned_vram_bytes"` // without the CUDA context, which engines do not count
	MeasuredBytes int64     `json:"measured_vram_bytes"`
	RAMBytes      int64     `json:"measured_ram_bytes"`
	Loads         int       `json:"loads"`      // since the program started
	Unexpected    int       `json:"unexpected"` // of these: the engine had unloaded it on its own, or for another program
}

// A Notice is something that happened to the plan, in a sentence.
type Notice struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

const mostNotices = 20

// NewKeeper reads what was learned; what cannot be read is learned anew. The first plan is made when it is first needed.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	learned, err := loadLearned(cfg.Path)
	if err != nil {
		cfg.Log.Warn("what was learned about this machine cannot be read: it is learned anew", "path", cfg.Path, "err", err)
	}
	learned.relax(time.Now())
	return &Keeper{cfg: cfg, learned: learned, failures: map[Role]int{}, loads: map[Role]Load{}, changed: make(chan struct{})}
}

// Planner returns the lender of the plan in force, making the plan if there is
// none yet, or one that was made without the engine's word.
func (k *Keeper) Planner(ctx context.Context) (*Planner, error) {
	k.mu.Lock()
	planner, settled := k.planner, k.settled
	k.mu.Unlock()
	if planner != nil && settled {
		return planner, nil
	}
	request, settled := k.survey(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.planner != nil && (k.settled || !settled) {
		return k.planner, nil
	}
	k.request, k.settled = request, settled
	k.replan("")
	return k.planner, nil
}

// Plan is the plan in force. Unlike [Keeper.Planner] it does not ask the engine, once there is a plan.
func (k *Keeper) Plan(ctx context.Context) (Plan, error) {
	planner, err := k.current(ctx)
	if err != nil {
		return Plan{}, err
	}
	return planner.Plan(), nil
}

// current is the planner there is, or the first.
func (k *Keeper) current(ctx context.Context) (*Planner, error) {
	k.mu.Lock()
	planner := k.planner
	k.mu.Unlock()
	if planner != nil {
		return planner, nil
	}
	return k.Planner(ctx)
}

// Placement is a role's in the plan in force; there is none before the first plan.
func (k *Keeper) Placement(role Role) (Placement, bool) {
	k.mu.Lock()
	planner := k.planner
	k.mu.Unlock()
	if planner == nil {
		return Placement{}, false
	}
	return planner.Plan().Placement(role)
}

// Request is what the plan in force was made for.
func (k *Keeper) Request(ctx context.Context) (Request, error) {
	if _, err := k.Planner(ctx); err != nil {
		return Request{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.request, nil
}

// WhatIf plans a machine as it is described, and this one where nothing is said of it. Nothing is put in force.
func (k *Keeper) WhatIf(ctx context.Context, d Description) (Plan, error) {
	base, err := k.Request(ctx)
	if err != nil {
		return Plan{}, err
	}
	r, err := d.apply(base, func(name string) (Model, error) { return k.find(ctx, name) })
	if err != nil {
		return Plan{}, err
	}
	return Fit(r), nil
}

// find returns a model of the engine, if it answers and has it, or of the catalogue.
func (k *Keeper) find(ctx context.Context, name string) (Model, error) {
	m, err := k.cfg.Engine.Model(ctx, name)
	if err == nil {
		return m, nil
	}
	if m, ok := Lookup(name); ok {
		return m, nil
	}
	if errors.Is(err, ErrNoModel) {
		return Model{}, fmt.Errorf("%s is neither in the catalogue nor does Ollama here have it: `ollama pull %s` fetches it", name, name)
	}
	return Model{}, fmt.Errorf("%s is not in the catalogue, and no Ollama answers that could have it", name)
}

// survey asks machine and engine for what there is to plan with. It is settled when the engine had its say.
func (k *Keeper) survey(ctx context.Context) (r Request, settled bool) {
	hw := k.cfg.Read(ctx)
	r = NewRequest(hw)
	k.mu.Lock()
	r.Learned = k.learned.clone()
	k.mu.Unlock()
	r.KeepChat, r.KeepEmbedder = true, !k.cfg.MoveEmbedder
	if k.cfg.Context > 0 {
		r.Context, r.KeepContext = k.cfg.Context, true
	}
	r.Smaller = smaller()
	settled = true
	if k.planned() {
		version, err := k.cfg.Engine.Version(ctx)
		answers := err == nil
		if answers {
			r.Ollama = version
		}
		var chat, embedder bool
		r.Chat, chat = k.model(ctx, k.cfg.Chat, answers)
		r.Embedder, embedder = k.model(ctx, k.cfg.Embedder, answers)
		if answers {
			k.recallStandIn(ctx, &r)
			k.giveBack(ctx, &r)
		}
		settled = chat && embedder
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hardware = hw
	return r, settled
}

// planned reports whether the engine runs any of our models.
func (k *Keeper) planned() bool { return k.cfg.Chat != "" || k.cfg.Embedder != "" }

// model is what the engine says of a model, or the catalogue where the engine does not tell; told reports which.
func (k *Keeper) model(ctx context.Context, name string, answers bool) (m *Model, told bool) {
	if name == "" {
		return nil, answers
	}
	if answers {
		if m, err := k.cfg.Engine.Model(ctx, name); err == nil {
			return &m, true
		}
	}
	if m, ok := Lookup(name); ok {
		return &m, false
	}
	return nil, false
}

// smaller are the models of the catalogue that may take the place of one that is too large, the largest first.
func smaller() []Model {
	var out []Model
	for _, name := range []string{"qwen3:4b", "llama3.2:3b", "deepseek-r1:1.5b"} {
		if m, ok := Lookup(name); ok {
			out = append(out, m)
		}
	}
	return out
}

// giveBack counts as free what our own models take of the memory, from an earlier run. Of the RAM that is not more
// than an idle machine has free: what is mapped from a file is counted as free already.
func (k *Keeper) giveBack(ctx context.Context, r *Request) {
	running, err := k.cfg.Engine.Running(ctx)
	if err != nil {
		return
	}
	ours := k.ours(running, *r)
	if card, ok := holder(r.Hardware.GPUs, ours.gpu); ok {
		r.Hardware.GPUs = withFree(r.Hardware.GPUs, card, min(card.TotalBytes, card.FreeBytes+ours.gpu))
	}
	ram := &r.Hardware.RAM
	ram.FreeBytes = max(ram.FreeBytes, min(ram.FreeBytes+ours.ram, ram.TotalBytes-min(systemRAM, ram.TotalBytes/2)))
}

// ours is what our models take of the memory, of the card's with a CUDA context each. A name of none matches nothing.
func (k *Keeper) ours(running []Running, r Request) (sum amount) {
	card, _ := r.card()
	for _, m := range running {
		standIn := r.InPlaceOf != nil && sameModel(m.Name, r.Chat.Name)
		if !standIn && !sameModel(m.Name, k.cfg.Chat) && !sameModel(m.Name, k.cfg.Embedder) {
			continue
		}
		sum.ram += max(0, m.Bytes-m.VRAMBytes)
		if m.VRAMBytes > 0 {
			sum.gpu += m.VRAMBytes + r.cudaContext(card)
		}
	}
	return sum
}

// holder is the card that our models of an earlier run are on: of those where so much is in use the one that would have
// the most free without them, as that is how one is chosen.
func holder(gpus []GPU, ours int64) (GPU, bool) {
	var best GPU
	for _, g := range gpus {
		if (len(gpus) == 1 || g.TotalBytes-g.FreeBytes >= ours) && (best.TotalBytes == 0 || g.FreeBytes > best.FreeBytes) {
			best = g
		}
	}
	return best, best.TotalBytes > 0
}

// withFree is gpus with another free memory of one card.
func withFree(gpus []GPU, card GPU, free int64) []GPU {
	gpus = slices.Clone(gpus)
	for i := range gpus {
		if sameCard(gpus[i], card) {
			gpus[i].FreeBytes = free
		}
	}
	return gpus
}

// replan makes a plan of the request and what was learned, and hands it to the planner. k.mu is held.
func (k *Keeper) replan(why string) {
	k.request.Learned = k.learned.clone()
	if k.cfg.Lent != nil {
		k.request.Lent = k.cfg.Lent()
	}
	plan := Fit(k.request)
	if why != "" {
		k.notice(why)
	}
	if k.planner == nil {
		k.planner = NewPlanner(plan)
	} else {
		k.planner.Replace(plan)
	}
	k.tell()
}

// notice keeps a sentence for the user. k.mu is held.
func (k *Keeper) notice(text string) {
	k.cfg.Log.Info("the plan of the hardware", "notice", text)
	k.notices = append(k.notices, Notice{At: time.Now(), Text: text})
	k.notices = k.notices[max(0, len(k.notices)-mostNotices):]
}

// tell wakes who waits for a change. k.mu is held.
func (k *Keeper) tell() {
	close(k.changed)
	k.changed = make(chan struct{})
}
