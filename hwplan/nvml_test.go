//go:build linux && cgo

package hwplan

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A nvmlReading is what one opening of a library and one reading gave.
type nvmlReading struct {
	GPUs  []GPU
	Error string
	Fatal bool // it could not be opened
}

// nvmlStub is the card of testdata/nvml/stub.c.
func nvmlStub(change func(*GPU)) GPU {
	g := GPU{
		UUID: "GPU-1b7f34a2-5c7c-9e0e-2f2b-7c1d5a3e9f10", Name: "NVIDIA GeForce RTX 3050 6GB Laptop GPU", Driver: "580.95.05",
		Memory: Memory{TotalBytes: 6141 * MiB, FreeBytes: 5900 * MiB}, UsedBytes: 241 * MiB, BusBits: 96,
		MemoryMHz: 6001, MaxMemoryMHz: 7001, SMMHz: 1230, MaxSMMHz: 2100,
		TemperatureC: 88, SlowdownC: 87, PowerW: 58.31, PowerLimitW: 60, Utilization: 97, Throttle: []string{"hardware", "thermal"},
	}
	change(&g)
	return g
}

// TestNVML reads stub libraries, each in a process of its own: a symbol is bound
// once in a process, and one that is missing would end it.
func TestNVML(t *testing.T) {
	same := func(*GPU) {}
	lost := nvmlReading{Error: ErrGPULost.Error()}
	for name, c := range map[string]struct {
		flags string
		want  []nvmlReading // of a driver opened, read twice, opened anew and read once
	}{
		"laptop": {"", []nvmlReading{{GPUs: []GPU{nvmlStub(same)}}, {GPUs: []GPU{nvmlStub(same)}}, {GPUs: []GPU{nvmlStub(same)}}}},
		"H100": {"-include testdata/nvml/h100.h", repeat(nvmlReading{GPUs: []GPU{{
			UUID: "GPU-63e8dc4c-ffa8-3e2f-7e02-934fe1a52677", Name: "NVIDIA H100 80GB HBM3", Driver: "580.159.04",
			Memory: Memory{TotalBytes: 85520809984, FreeBytes: 84091797504}, UsedBytes: 1429012480, BusBits: 5120,
			MemoryMHz: 2619, MaxMemoryMHz: 2619, SMMHz: 1290, MaxSMMHz: 1980,
			TemperatureC: 56, SlowdownC: 89, PowerW: 696.098, PowerLimitW: 700, Utilization: 100, Throttle: []string{"power cap"},
		}}})},
		"no card": {"-DCARDS=0", []nvmlReading{{}, {}, {}}},
		"old driver": {"-DOLD", repeat(nvmlReading{GPUs: []GPU{nvmlStub(func(g *GPU) {
			g.BusBits, g.Throttle = 0, []string{"power cap"}
		})}})},
		"supports little": {"-DWITHOUT", repeat(nvmlReading{GPUs: []GPU{nvmlStub(func(g *GPU) {
			g.SlowdownC, g.PowerW, g.PowerLimitW, g.Utilization = 0, 0, 0, 0
		})}})},
		"only what is needed": {"-DBARE", repeat(nvmlReading{GPUs: []GPU{{
			Name:   "NVIDIA GeForce RTX 3050 6GB Laptop GPU",
			Memory: Memory{TotalBytes: 6141 * MiB, FreeBytes: 5900 * MiB}, UsedBytes: 241 * MiB, Throttle: []string{},
		}}})},
		"lost, then back": {"-DLOST", []nvmlReading{{GPUs: []GPU{nvmlStub(same)}}, lost, {GPUs: []GPU{nvmlStub(same)}}}},
		"one of two lost": {"-DCARDS=2 -DHALF", repeat(nvmlReading{GPUs: []GPU{nvmlStub(same)}, Error: ErrGPULost.Error()})},
		"not loaded":      {"-DINIT=9", []nvmlReading{{Fatal: true, Error: "the NVIDIA driver is installed but not loaded"}}},
		"other failure":   {"-DINIT=999", []nvmlReading{{Fatal: true, Error: "the NVIDIA driver could not be opened (NVML error 999)"}}},
		"not of NVIDIA": {"-DnvmlDeviceGetName=other", []nvmlReading{{
			Fatal: true, Error: "the NVIDIA driver is not usable: its library has no nvmlDeviceGetName"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, readElsewhere(t, compileStub(t, c.flags))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	t.Run("no library", func(t *testing.T) {
		want := []nvmlReading{{Fatal: true, Error: "no NVIDIA driver was found (/nowhere/libnvidia-ml.so.1 is missing)"}}
		if diff := cmp.Diff(want, readElsewhere(t, "/nowhere/libnvidia-ml.so.1")); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func repeat(r nvmlReading) []nvmlReading { return []nvmlReading{r, r, r} }

func compileStub(t *testing.T, flags string) string {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to make a stub of libnvidia-ml with")
	}
	library := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	args := append(strings.Fields(flags), "-shared", "-fPIC", "-o", library, "testdata/nvml/stub.c")
	if out, err := exec.CommandContext(t.Context(), compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return library
}

// readElsewhere has TestNVMLChild read a library in another process.
func readElsewhere(t *testing.T, library string) []nvmlReading {
	t.Helper()
	result := filepath.Join(t.TempDir(), "readings.json")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNVMLChild$")
	child.Env = append(os.Environ(), "HWPLAN_TEST_NVML="+library, "HWPLAN_TEST_RESULT="+result)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("the process that reads NVML ended: %v\n%s", err, out)
	}
	content, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var readings []nvmlReading
	if err := json.Unmarshal(content, &readings); err != nil {
		t.Fatal(err)
	}
	return readings
}

// TestNVMLChild is a test only in the process that readElsewhere starts.
func TestNVMLChild(t *testing.T) {
	library := os.Getenv("HWPLAN_TEST_NVML")
	if library == "" {
		t.Skip("it is TestNVML's other process")
	}
	content, err := json.Marshal(readTwice(t, library))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("HWPLAN_TEST_RESULT"), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readTwice(t *testing.T, library string) []nvmlReading {
	var readings []nvmlReading
	for _, times := range []int{2, 1} {
		source, err := openNVML(library)
		if err != nil {
			return append(readings, nvmlReading{Fatal: true, Error: err.Error()})
		}
		for range times {
			var reading nvmlReading
			if reading.GPUs, err = source.read(t.Context()); err != nil {
				reading.Error = err.Error()
			}
			readings = append(readings, reading)
		}
		if err := source.close(); err != nil {
			t.Error(err)
		}
	}
	return readings
}
