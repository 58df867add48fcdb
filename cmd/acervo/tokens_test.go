package main

import (
	"strings"
	"sync"
	"testing"
	"time"
)

func counter(t testing.TB) func(string) int {
	t.Helper()
	count, err := newTokenCounter()
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func TestTokenCounter(t *testing.T) {
	count := counter(t)
	for text, want := range map[string]int{
		"": 0, "hello world": 2, "La garantía dura tres años.": 8, "<|endoftext|>": 7, "a\n\nb": 3,
	} {
		if got := count(text); got != want {
			t.Errorf("%q: %d tokens, want %d", text, got, want)
		}
	}
	sentence := " El acta de recepción la firma D.ª Begoña Ibáñez Muñoz, en Madrid."
	if got, want := count(strings.Repeat(sentence, 1000)), 1000*count(sentence); got != want {
		t.Errorf("a long text has %d tokens, its sentences have %d", got, want)
	}
}

func TestTokenCounterIsLinear(t *testing.T) {
	count := counter(t)
	for name, text := range map[string]string{
		"letters": strings.Repeat("a", 1_000_000), "spaces": strings.Repeat(" ", 1_000_000),
		"rules": strings.Repeat("=", 1_000_000), "Chinese": strings.Repeat("漢字假名", 1_000_000/12),
	} {
		start := time.Now()
		n := count(text)
		took := time.Since(start)
		t.Log(name, n, took)
		if n == 0 || took > 20*time.Second { // quadratic takes 25 minutes
			t.Errorf("%s: %d tokens in %v", name, n, took)
		}
	}
}

func TestTokenCounterConcurrently(t *testing.T) {
	count := counter(t)
	text := strings.Repeat("La garantía dura tres años. ", 50)
	want := count(text)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if got := count(text); got != want {
					t.Errorf("%d tokens beside others, %d alone", got, want)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkTokenCounter(b *testing.B) {
	count := counter(b)
	text := strings.Repeat("Los equipos se entregarán en un plazo de 45 días naturales desde la firma. The warranty lasts three years. ", 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		count(text)
	}
}
