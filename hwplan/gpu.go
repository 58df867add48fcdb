package hwplan

import (
	"context"
	"errors"
)

// ErrGPULost says that a graphics card no longer answers: it fell off the bus or
// its driver was reset. Nothing that was loaded on it is there any more.
var ErrGPULost = errors.New("the graphics card no longer answers (GPU is lost)")

// errNoDriver says that there is nothing to ask for NVIDIA's cards.
var errNoDriver = errors.New("no NVIDIA driver was found")

// A gpuSource reads the state of the graphics cards.
type gpuSource interface {
	// read returns all the cards that answer, and an error if not all of them do.
	// A read wakes a laptop's sleeping card: idle programs should ask rarely.
	read(ctx context.Context) ([]GPU, error)
	close() error
}

// throttleReasons are the words for the bits of NVML's "clocks event reasons",
// which are those of nvidia-smi too. SwPowerCap is a laptop's normal state under
// load, hence a word of its own: "power" is the hardware's power brake.
var throttleReasons = []struct {
	bits uint64
	word string
}{
	{0x1, "idle"},
	{0x2, "application clocks"},
	{0x4, "power cap"},
	{0x8, "hardware"},
	{0x10, "sync boost"},
	{0x20 | 0x40, "thermal"}, // found by software, by hardware
	{0x80, "power"},
	{0x100, "display clocks"},
}

func throttleWords(reasons uint64) []string {
	words := []string{}
	for _, r := range throttleReasons {
		if reasons&r.bits != 0 {
			words = append(words, r.word)
		}
		reasons &^= r.bits
	}
	if reasons != 0 {
		words = append(words, "other")
	}
	return words
}
