//go:build linux && cgo

package hwplan

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRealCard reads the cards of this machine through NVML and through
// nvidia-smi, one after the other: they must tell of the same cards.
func TestRealCard(t *testing.T) {
	path := findSMI()
	if path == "" {
		t.Skip("no nvidia-smi here, hence no card of NVIDIA's")
	}
	library, err := openNVML("libnvidia-ml.so.1")
	if err != nil {
		t.Fatal(err)
	}
	defer library.close()
	byNVML, err := library.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	smi := &smiSource{path: path}
	bySMI, err := smi.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, gpus := range map[string][]GPU{"NVML": byNVML, "nvidia-smi": bySMI} {
		text, err := json.Marshal(gpus)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", name, text)
	}
	if len(byNVML) == 0 {
		t.Fatal("the driver has no card")
	}
	// What changes from one moment to the next, and what only NVML tells.
	apart := cmpopts.IgnoreFields(GPU{}, "BusBits", "SlowdownC", "MemoryMHz", "SMMHz", "TemperatureC", "PowerW", "Utilization", "Throttle", "FreeBytes", "UsedBytes")
	if diff := cmp.Diff(byNVML, bySMI, apart); diff != "" {
		t.Errorf("-NVML +nvidia-smi\n%s", diff)
	}
	for i, g := range byNVML {
		if i < len(bySMI) && max(g.FreeBytes-bySMI[i].FreeBytes, bySMI[i].FreeBytes-g.FreeBytes) > 64*MiB {
			t.Errorf("%s: %d bytes are free by NVML, %d by nvidia-smi", g.Name, g.FreeBytes, bySMI[i].FreeBytes)
		}
		if g.TotalBytes == 0 || g.FreeBytes == 0 || g.TemperatureC == 0 || g.MaxMemoryMHz == 0 || g.Bandwidth() == 0 {
			t.Errorf("not all of it was read: %+v", g)
		}
	}
}
