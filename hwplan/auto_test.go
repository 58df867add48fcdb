package hwplan

import (
	"context"
	"strings"
	"testing"
)

// reading is a detector of hw.
func reading(hw Hardware) func(context.Context) Hardware {
	return func(context.Context) Hardware { return hw }
}

// Where the engine may have a card that Acervo does not see, it is left to use it: num_gpu 0 would keep it from it.
func TestEngineDecides(t *testing.T) {
	ram := Memory{TotalBytes: 32 * GiB, FreeBytes: 28 * GiB}
	nvidia := []GPU{{Memory: Memory{TotalBytes: 6 * GiB, FreeBytes: 5 * GiB}}}
	full := []GPU{{Memory: Memory{TotalBytes: 6 * GiB}}}
	none, darwin := int64(0), "darwin"
	for _, c := range []struct {
		name      string
		hw        Hardware
		described Description
		device    Device
		mode      Mode
		numGPU    int
	}{
		{"no card", Hardware{OS: "linux", RAM: ram, Notes: []string{errNoDriver.Error()}}, Description{}, OnCPU, ModeCPU, 0},
		{"AMD", Hardware{OS: "linux", RAM: ram, OtherGPU: true}, Description{}, OnAuto, ModeAuto, -1},
		{"a Mac", Hardware{OS: "darwin", RAM: ram}, Description{}, OnAuto, ModeAuto, -1},
		{"Windows without NVIDIA", Hardware{OS: "windows", RAM: ram}, Description{}, OnAuto, ModeAuto, -1},
		{"a card that shares the RAM", Hardware{OS: "linux", RAM: ram, GPUs: []GPU{{Name: "NVIDIA GB10"}}}, Description{}, OnAuto, ModeAuto, -1},
		{"a full card", Hardware{OS: "linux", RAM: ram, GPUs: full}, Description{}, OnCPU, ModeCPU, 0},
		{"NVIDIA", Hardware{OS: "linux", RAM: ram, GPUs: nvidia}, Description{}, OnHybrid, ModeHybrid, 20},
		{"described: none on a Mac", Hardware{OS: "darwin", RAM: ram}, Description{GPUTotalBytes: &none}, OnCPU, ModeCPU, 0},
		{"described: a Mac, here NVIDIA", Hardware{OS: "linux", RAM: ram, GPUs: nvidia}, Description{OS: darwin}, OnAuto, ModeAuto, -1},
		{"described: Linux, here AMD", Hardware{OS: "windows", RAM: ram}, Description{OS: "linux"}, OnCPU, ModeCPU, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := c.described.apply(NewRequest(c.hw).with(t, "qwen2.5:7b", "nomic-embed-text"), nil)
			if err != nil {
				t.Fatal(err)
			}
			plan := Fit(r)
			chat, embedding := plan.Roles[Chat], plan.Roles[Embedding]
			if chat.Device != c.device || plan.Mode != c.mode || chat.NumGPU != c.numGPU || !plan.Fits || chat.RAMBytes == 0 || chat.Speed == nil {
				t.Errorf("mode %s, chat %+v", plan.Mode, chat)
			}
			if onCard := c.device == OnHybrid; !onCard && (embedding.Device != c.device || embedding.NumGPU != c.numGPU || embedding.VRAMBytes != 0) {
				t.Errorf("embedding %+v", embedding)
			}
			if says := strings.Contains(strings.Join(plan.Why, "\n"), "where Ollama puts it"); says != (c.device == OnAuto) {
				t.Errorf("%s", strings.Join(plan.Why, "\n"))
			}
		})
	}
}

// What was learned at one context holds at a longer one: more context is never more layers.
func TestLearnedLaw(t *testing.T) {
	r := described("linux", 6001).with(t, "qwen2.5:7b", "nomic-embed-text")
	set(&r.Learned.Offload, offloadKey(r.Hardware.GPUs[0], r.Ollama, "qwen2.5:7b", 8192, 512), Limit{Layers: 15})
	for context, want := range map[int]int{4096: 26, 8192: 15, 12288: 15} {
		r.Context = context
		if got := Fit(r).Roles[Chat].Offloaded; got != want {
			t.Errorf("%d layers at %d tokens, want %d", got, context, want)
		}
	}
}

// Several cards are said.
func TestSeveralCards(t *testing.T) {
	r := described("linux", 6001).with(t, "qwen2.5:7b", "nomic-embed-text")
	r.Hardware.GPUs = append(r.Hardware.GPUs, GPU{Index: 1, Memory: Memory{TotalBytes: 4 * GiB, FreeBytes: 4 * GiB}})
	if w := strings.Join(Fit(r).Warnings, "\n"); !strings.Contains(w, "2 graphics cards") {
		t.Errorf("warnings: %s", w)
	}
}
