package hwplan

import "testing"

// A card of AMD's is left to the engine, whatever the note about it says.
func TestUnseenAMD(t *testing.T) {
	d := NewDetector(t.TempDir())
	d.machine = machineWith(t, map[string]string{"sys/class/drm/card1/device/mem_info_vram_total": "8573157376"})
	d.open = func() (gpuSource, error) { return nil, errNoDriver }
	if hw := d.Read(t.Context()); !hw.OtherGPU || !unseenCard(hw) || len(hw.Notes) != 1 {
		t.Errorf("%v, notes %q", hw.OtherGPU, hw.Notes)
	}
	d.machine = machineWith(t, nil)
	if hw := d.Read(t.Context()); hw.OtherGPU || unseenCard(hw) {
		t.Errorf("without a card: %+v", hw)
	}
}
