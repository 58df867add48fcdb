package hwplan

import "testing"

// The note of a detector is what [unseenCard] looks for.
func TestUnseenAMD(t *testing.T) {
	amd := machineWith(t, map[string]string{"sys/class/drm/card1/device/mem_info_vram_total": "8573157376"})
	if note := amd.otherGPU(); !unseenCard(Hardware{OS: "linux", Notes: []string{note}}) {
		t.Errorf("%q", note)
	}
}
