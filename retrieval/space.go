package retrieval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"
)

// A space is the vectors of one model with one way of asking it. Vectors of
// two spaces are never compared. A space is checked, not believed: an upgraded
// engine may give other vectors under the same name, and the probe's vector,
// kept with the space, tells.
type space struct {
	Name       string    `json:"name"` // of its bucket
	Model      string    `json:"model"`
	Generation int       `json:"generation"` // of the spaces of this model
	Dims       int       `json:"dims"`
	Probe      []float32 `json:"probe"`
	// The usual cosines of a question with a passage that does not bear on it, and with one that answers it.
	Unrelated float64 `json:"unrelated"`
	Related   float64 `json:"related"`
	// Foreign is how much lower the first is where the two are in different languages.
	Foreign float64 `json:"foreign"`
	// rebuilding says that another space, complete, is still there: this one is not complete yet.
	rebuilding bool
	met        bool // the engine gave its vectors since the index was opened
}

// probeText is embedded to tell whether the engine still gives the vectors it gave.
const probeText = "El Ñandú cruzó Córdoba. THE bird ran 40 km."

// sameSpace is the least cosine of two vectors of the probe in one space. Other
// batch sizes and devices change the last digits only.
const sameSpace = 0.999

// known are questions and the passages that answer them, to learn what cosines a model usually gives.
var known = []struct{ question, asked, passage, said string }{ // asked and said: their languages
	{"¿A qué hora sale el tren de Vigo?", "es", "El tren de Vigo sale a las ocho y cuarto.", "es"},
	{"What is the soup made with?", "en", "The soup is made with leeks and potatoes.", "en"},
	{"Who painted the chapel?", "en", "La capilla la pintó un monje del convento.", "es"},
	{"¿Cuánto pesa la campana?", "es", "The bell weighs almost three tonnes.", "en"},
}

// spaceModel names what decides the vectors: the model, and what is put before the texts.
func spaceModel(e Embedder) string {
	p := PrefixesOf(e.Model())
	return e.Model() + "|" + p.Query + "|" + p.Passage
}

// findSpace returns the newest space of a model, or nil.
func findSpace(tx *bbolt.Tx, model string) (*space, error) {
	var found *space
	others := false
	err := eachSpace(tx, func(s *space) {
		others = others || found != nil || s.Model != model
		if s.Model == model && (found == nil || s.Generation > found.Generation) {
			found = s
		}
	})
	if found != nil {
		found.rebuilding = others
	}
	return found, err
}

func eachSpace(tx *bbolt.Tx, do func(*space)) error {
	vectors := tx.Bucket(vectorsBucket)
	return vectors.ForEachBucket(func(name []byte) error {
		s := &space{}
		if err := json.Unmarshal(vectors.Bucket(name).Get(spaceKey), s); err != nil {
			return fmt.Errorf("vector space %s: %w", name, err)
		}
		do(s)
		return nil
	})
}

// verify makes sure that the engine speaks of the space in force, or changes
// to a new one. What the embedder is to blame for is an engineError: so is
// another dimension from an engine that gave the right one before, for a model
// of one name does not change its dimension while it runs.
func (x *Index) verify(ctx context.Context) error {
	x.mu.RLock()
	s := x.space
	x.mu.RUnlock()
	dims := 0
	if s != nil && s.met {
		dims = s.Dims
	}
	probe, err := x.probe(ctx, dims)
	if err != nil {
		return err
	}
	if s != nil && len(probe) == s.Dims && cosine(probe, s.Probe) >= sameSpace {
		x.meet()
		return nil
	}
	fresh := &space{Model: spaceModel(x.cfg.Embedder), Dims: len(probe), Probe: probe, met: true}
	if err := x.usual(ctx, fresh); err != nil {
		return err
	}
	if s != nil {
		x.cfg.Log.Warn("the embedder gives other vectors than before: everything is embedded anew", "model", x.cfg.Embedder.Model())
	}
	return x.enter(fresh)
}

// meet notes that the engine speaks of the space in force.
func (x *Index) meet() {
	x.mu.Lock()
	defer x.mu.Unlock()
	met := *x.space
	met.met = true
	x.space = &met
}

// probe embeds the probe's text; dims 0 accepts any dimension.
func (x *Index) probe(ctx context.Context, dims int) ([]float32, error) {
	vs, err := x.embedPassages(ctx, []string{probeText}, dims)
	if err != nil {
		return nil, err
	}
	return vs[0], nil
}

// usual measures what cosines the model gives to what is unrelated, and to a question and its answer.
func (x *Index) usual(ctx context.Context, s *space) error {
	passages := make([]string, len(known))
	for i, k := range known {
		passages[i] = k.passage
	}
	vs, err := x.embedPassages(ctx, passages, s.Dims)
	if err != nil {
		return err
	}
	var related, unrelated, own, foreign mean
	for i, k := range known {
		q, err := x.embedQuestion(ctx, k.question, s.Dims)
		if err != nil {
			return err
		}
		for j, v := range vs {
			c := cosine(q, v)
			switch {
			case i == j:
				related.add(c)
			case k.asked == known[j].said:
				unrelated.add(c)
				own.add(c)
			default:
				unrelated.add(c)
				foreign.add(c)
			}
		}
	}
	s.Related, s.Unrelated, s.Foreign = related.value(), unrelated.value(), max(0, own.value()-foreign.value())
	return nil
}

type mean struct{ sum, n float64 }

func (m *mean) add(x float64) { m.sum, m.n = m.sum+x, m.n+1 }

func (m *mean) value() float64 { return m.sum / m.n }

// foreign is [space.Foreign] of the space in force.
func (x *Index) foreign() float64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.space == nil {
		return 0
	}
	return x.space.Foreign
}

// enter makes s, which is new and empty, the space in force.
func (x *Index) enter(s *space) error {
	x.write.Lock()
	defer x.write.Unlock()
	err := x.db.Update(func(tx *bbolt.Tx) error {
		old, err := findSpace(tx, s.Model)
		if err != nil {
			return err
		}
		if old != nil {
			s.Generation = old.Generation + 1
		}
		if err := eachSpace(tx, func(*space) { s.rebuilding = true }); err != nil {
			return err
		}
		sum := sha256.Sum256(fmt.Appendf(nil, "%s|%d|%d", s.Model, s.Dims, s.Generation))
		s.Name = hex.EncodeToString(sum[:8])
		b, err := tx.Bucket(vectorsBucket).CreateBucket([]byte(s.Name))
		if err != nil {
			return err
		}
		raw, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return b.Put(spaceKey, raw)
	})
	if err != nil {
		return fmt.Errorf("index.db: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.space, x.vectors = s, x.cfg.NewVectors()
	for _, t := range x.texts {
		t.windows, t.retryAt = 0, time.Time{}
	}
	x.todo = x.newest()
	return nil
}

// dropOldSpaces ends a rebuild: the space in force is complete.
func (x *Index) dropOldSpaces() error {
	x.write.Lock()
	defer x.write.Unlock()
	err := x.db.Update(func(tx *bbolt.Tx) error {
		var old []string
		err := eachSpace(tx, func(s *space) {
			if s.Name != x.space.Name {
				old = append(old, s.Name)
			}
		})
		for _, name := range old {
			err = errors.Join(err, tx.Bucket(vectorsBucket).DeleteBucket([]byte(name)))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("index.db: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	done := *x.space
	done.rebuilding = false
	x.space = &done
	return nil
}

// loadVectors fills the vector store with what the space in force has for the texts of the catalog.
func (x *Index) loadVectors(ctx context.Context, tx *bbolt.Tx) error {
	b := tx.Bucket(vectorsBucket).Bucket([]byte(x.space.Name))
	for _, t := range x.texts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if v := decodeVectors(b.Get(t.hash[:]), x.space.Dims); v != nil {
			x.remember(ctx, t, v)
		}
	}
	return nil
}

// storedVectors returns the vectors that the space in force has for those marks that no chunk has now.
func (x *Index) storedVectors(tx *bbolt.Tx, marks []mark) map[hash][][]float32 {
	if x.space == nil {
		return nil
	}
	b := tx.Bucket(vectorsBucket).Bucket([]byte(x.space.Name))
	out := map[hash][][]float32{}
	for _, m := range marks {
		if x.texts[m.hash] != nil {
			continue
		}
		if v := decodeVectors(b.Get(m.hash[:]), x.space.Dims); v != nil {
			out[m.hash] = v
		}
	}
	return out
}

// remember puts the vectors of t into the vector store. The caller holds x.write, or is Open.
func (x *Index) remember(ctx context.Context, t *text, vectors [][]float32) {
	if err := x.vectors.Add(context.WithoutCancel(ctx), t.language, t.vectorIDs(len(vectors)), vectors); err != nil {
		x.cfg.Log.Error("vectors could not be added", "err", err)
		return
	}
	x.mu.Lock()
	t.windows = len(vectors)
	x.mu.Unlock()
}

// forget takes the vectors of texts out of the vector store. The caller holds x.write.
func (x *Index) forget(ctx context.Context, texts []*text) {
	ids := map[string][]string{}
	for _, t := range texts {
		if t.windows > 0 {
			ids[t.language] = append(ids[t.language], t.vectorIDs(t.windows)...)
		}
	}
	for language, ids := range ids {
		if err := x.vectors.Remove(context.WithoutCancel(ctx), language, ids); err != nil {
			x.cfg.Log.Error("vectors could not be removed", "err", err)
		}
	}
}

// cosine is the cosine similarity of two vectors of one dimension, neither zero.
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}
