package retrievaltest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/acervo-kb/acervo/retrieval"
)

// TestVectorStore checks that the stores that open makes, each new and empty, keep the contract of [retrieval.VectorStore].
func TestVectorStore(t *testing.T, open func() retrieval.VectorStore) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, retrieval.VectorStore)
	}{
		{"nearest first, with cosines", testOrder},
		{"exact among many", testExact},
		{"more asked than there are", testMoreThanThere},
		{"partitions are apart", testPartitions},
		{"an id again replaces", testReplace},
		{"remove takes only what is named", testRemove},
		{"another dimension is refused", testDimensions},
		{"no direction is refused", testNoDirection},
		{"what goes in or comes out is not the store's", testAliases},
		{"at the same time", testConcurrent},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open()) })
	}
}

func add(t *testing.T, s retrieval.VectorStore, partition string, ids []string, vectors ...[]float32) {
	t.Helper()
	if err := s.Add(t.Context(), partition, ids, vectors); err != nil {
		t.Fatalf("add %v: %v", ids, err)
	}
}

func nearest(t *testing.T, s retrieval.VectorStore, partition string, v []float32, k int) []string {
	t.Helper()
	matches, err := s.Nearest(t.Context(), partition, v, k)
	if err != nil {
		t.Fatalf("nearest: %v", err)
	}
	var ids []string
	for _, m := range matches {
		ids = append(ids, m.ID)
	}
	return ids
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("found %v, not %v", got, want)
	}
}

func testOrder(t *testing.T, s retrieval.VectorStore) {
	add(t, s, "es", []string{"far", "near", "same", "against"}, []float32{0, 5, 0}, []float32{3, 3, 0}, []float32{0.1, 0, 0}, []float32{-2, 0, 0})
	matches, err := s.Nearest(t.Context(), "es", []float32{7, 0, 0}, 4)
	if err != nil {
		t.Fatal(err)
	}
	expected := []retrieval.Match{{ID: "same", Similarity: 1}, {ID: "near", Similarity: math.Sqrt(0.5)}, {ID: "far"}, {ID: "against", Similarity: -1}}
	if len(matches) != len(expected) {
		t.Fatalf("%d matches, not %d", len(matches), len(expected))
	}
	for i, m := range matches {
		if m.ID != expected[i].ID || math.Abs(m.Similarity-expected[i].Similarity) > 1e-5 {
			t.Errorf("match %d is %v, not %v", i, m, expected[i])
		}
	}
}

func testExact(t *testing.T, s retrieval.VectorStore) {
	rng := rand.New(rand.NewPCG(1, 2))
	ids, vectors := make([]string, 500), make([][]float32, 500)
	for i := range ids {
		ids[i], vectors[i] = fmt.Sprint(i), random(rng)
	}
	add(t, s, "es", ids, vectors...)
	for range 20 {
		q := random(rng)
		order := slices.Clone(ids)
		slices.SortFunc(order, func(a, b string) int {
			i, j := slices.Index(ids, a), slices.Index(ids, b)
			if dot(q, vectors[i]) > dot(q, vectors[j]) {
				return -1
			}
			return 1
		})
		want(t, nearest(t, s, "es", q, 10), order[:10]...)
	}
}

func random(rng *rand.Rand) []float32 {
	v := make([]float32, 16)
	var length float64
	for i := range v {
		v[i] = float32(rng.NormFloat64())
		length += float64(v[i]) * float64(v[i])
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(length))
	}
	return v
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func testMoreThanThere(t *testing.T, s retrieval.VectorStore) {
	want(t, nearest(t, s, "es", []float32{1, 0}, 5))
	add(t, s, "es", nil)
	want(t, nearest(t, s, "es", []float32{1, 0}, 5))
	add(t, s, "es", []string{"a", "b"}, []float32{1, 0}, []float32{0, 1})
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a", "b")
	want(t, nearest(t, s, "es", []float32{1, 0}, 1), "a")
	want(t, nearest(t, s, "es", []float32{1, 0}, 0))
}

func testPartitions(t *testing.T, s retrieval.VectorStore) {
	add(t, s, "es", []string{"a"}, []float32{1, 0})
	add(t, s, "en", []string{"a", "b"}, []float32{0, 1}, []float32{1, 1})
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a")
	want(t, nearest(t, s, "en", []float32{1, 0}, 5), "b", "a")
	want(t, nearest(t, s, "fr", []float32{1, 0}, 5))
	remove(t, s, "en", "a")
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a")
	remove(t, s, "fr", "a")
}

func remove(t *testing.T, s retrieval.VectorStore, partition string, ids ...string) {
	t.Helper()
	if err := s.Remove(t.Context(), partition, ids); err != nil {
		t.Fatalf("remove %v: %v", ids, err)
	}
}

func testReplace(t *testing.T, s retrieval.VectorStore) {
	add(t, s, "es", []string{"a", "b"}, []float32{1, 0}, []float32{1, 1})
	add(t, s, "es", []string{"a"}, []float32{0, 1})
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "b", "a")
}

func testRemove(t *testing.T, s retrieval.VectorStore) {
	add(t, s, "es", []string{"a", "b", "c"}, []float32{1, 0}, []float32{1, 1}, []float32{0, 1})
	remove(t, s, "es")
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a", "b", "c")
	remove(t, s, "es", "b", "nosuch")
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a", "c")
	remove(t, s, "es", "a", "c")
	want(t, nearest(t, s, "es", []float32{1, 0}, 5))
	add(t, s, "es", []string{"a"}, []float32{1, 0})
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a")
}

func testDimensions(t *testing.T, s retrieval.VectorStore) {
	add(t, s, "es", []string{"a"}, []float32{1, 0})
	for _, partition := range []string{"es", "en"} {
		if err := s.Add(t.Context(), partition, []string{"b", "c"}, [][]float32{{1, 0}, {1, 0, 0}}); err == nil {
			t.Errorf("a vector of 3 dimensions was added to %s, with those of 2", partition)
		}
	}
	if err := s.Add(t.Context(), "es", []string{"b", "c"}, [][]float32{{1, 0}}); err == nil {
		t.Error("two ids were added for one vector")
	}
	if _, err := s.Nearest(t.Context(), "es", []float32{1, 0, 0}, 1); err == nil {
		t.Error("a query of 3 dimensions was answered from vectors of 2")
	}
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a")
}

func testNoDirection(t *testing.T, s retrieval.VectorStore) {
	add(t, s, "es", []string{"a"}, []float32{1, 0})
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, v := range [][]float32{{0, 0}, {nan, 1}, {inf, 1}, {}, nil} {
		if err := s.Add(t.Context(), "es", []string{"b"}, [][]float32{v}); err == nil {
			t.Errorf("%v was added", v)
		}
		if _, err := s.Nearest(t.Context(), "es", v, 1); err == nil {
			t.Errorf("what is nearest to %v was answered", v)
		}
	}
	want(t, nearest(t, s, "es", []float32{1, 0}, 5), "a")
}

func testAliases(t *testing.T, s retrieval.VectorStore) {
	ids, v := []string{"a", "b"}, []float32{1, 0}
	add(t, s, "es", ids, v, []float32{0, 1})
	v[0], ids[0] = -1, "z"
	query := []float32{1, 0}
	matches, err := s.Nearest(t.Context(), "es", query, 2)
	if err != nil {
		t.Fatal(err)
	}
	if query[0] != 1 || query[1] != 0 {
		t.Error("the store changed the query's vector")
	}
	matches[0] = retrieval.Match{ID: "changed"}
	want(t, nearest(t, s, "es", []float32{1, 0}, 2), "a", "b")
}

func testConcurrent(t *testing.T, s retrieval.VectorStore) {
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 0))
			for n := range 30 {
				id := fmt.Sprintf("%d-%d", i, n)
				if err := s.Add(ctx, "es", []string{id}, [][]float32{random(rng)}); err != nil {
					t.Error(err)
				}
				if _, err := s.Nearest(ctx, "es", random(rng), 5); err != nil {
					t.Error(err)
				}
				if err := s.Remove(ctx, "es", []string{id}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want(t, nearest(t, s, "es", random(rand.New(rand.NewPCG(0, 0))), 5))
}
