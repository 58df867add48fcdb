package hwplan

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machineWith is a machine whose kernel has these files; a content that begins
// with -> is a link.
func machineWith(t *testing.T, files map[string]string) machine {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(content) > 2 && content[:2] == "->" {
			err = os.Symlink(content[2:], path)
		} else {
			err = os.WriteFile(path, []byte(content+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return machine{root: root}
}

func TestPerformanceCores(t *testing.T) {
	// A Core Ultra 7 155H: six fast cores of two threads, ten others of one.
	hybrid := map[string]string{"sys/devices/cpu_core/cpus": "0-11", "sys/devices/cpu_atom/cpus": "12-21"}
	for n := range 22 {
		siblings := fmt.Sprint(n)
		if n < 12 {
			siblings = fmt.Sprintf("%d-%d", n&^1, n|1)
		}
		hybrid[fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", n)] = siblings
	}
	by := func(measure string, values ...int) map[string]string {
		files := map[string]string{}
		for n, v := range values {
			files[fmt.Sprintf("sys/devices/system/cpu/cpu%d/%s", n, measure)] = fmt.Sprint(v)
			files[fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", n)] = fmt.Sprint(n)
		}
		return files
	}
	partly := by("cpufreq/cpuinfo_max_freq", 5000000, 3000000)
	delete(partly, "sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq")
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"Core Ultra 155H":       {hybrid, 6},
		"big and little":        {by("cpu_capacity", 446, 446, 446, 446, 1024, 1024), 2},
		"two favoured of four":  {by("cpufreq/cpuinfo_max_freq", 5000000, 5000000, 4800000, 4800000), 4},
		"Zen 5 and Zen 5c":      {by("cpufreq/cpuinfo_max_freq", 5100000, 5100000, 3300000, 3300000), 2},
		"one tells no measure":  {partly, 0},
		"nothing is told":       {nil, 0},
		"a list of another age": {map[string]string{"sys/devices/cpu_core/cpus": "all"}, 0},
	} {
		if got := machineWith(t, c.files).performanceCores(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestLimitRAM(t *testing.T) {
	ram := Memory{TotalBytes: 32 * GiB, FreeBytes: 20 * GiB}
	for name, c := range map[string]struct {
		files map[string]string
		want  Memory
	}{
		"no groups": {nil, ram},
		"no limit": {map[string]string{
			"proc/self/cgroup": "0::/user.slice", "sys/fs/cgroup/user.slice/memory.max": "max",
			"sys/fs/cgroup/user.slice/memory.current": "4096",
		}, ram},
		"a container": {map[string]string{
			"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": fmt.Sprint(8 * GiB), "sys/fs/cgroup/memory.current": fmt.Sprint(6 * GiB),
			"sys/fs/cgroup/memory.stat": fmt.Sprintf("anon 1\ninactive_file %d\nfile 3", GiB),
		}, Memory{TotalBytes: 8 * GiB, FreeBytes: 3 * GiB}},
		"the group above": {map[string]string{
			"proc/self/cgroup":                          "1:name=systemd:/a\n0::/system.slice/acervo.service",
			"sys/fs/cgroup/system.slice/memory.max":     fmt.Sprint(4 * GiB),
			"sys/fs/cgroup/system.slice/memory.current": fmt.Sprint(5 * GiB),
		}, Memory{TotalBytes: 4 * GiB}},
		"a limit above the memory": {map[string]string{
			"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": fmt.Sprint(64 * GiB), "sys/fs/cgroup/memory.current": fmt.Sprint(GiB),
		}, ram},
	} {
		if diff := cmp.Diff(c.want, machineWith(t, c.files).limitRAM(ram)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestNPU(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  *NPU
	}{
		"Meteor Lake": {map[string]string{
			"sys/class/accel/accel0/device/vendor": "0x8086", "sys/class/accel/accel0/device/device": "0x7d1d",
			"sys/class/accel/accel0/device/driver": "->../../../../bus/pci/drivers/intel_vpu",
		}, &NPU{Name: "Intel AI Boost (Meteor Lake)", Driver: "intel_vpu", Path: "/dev/accel/accel0"}},
		"without its driver": {map[string]string{
			"sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086", "sys/bus/pci/devices/0000:00:02.0/device": "0x7d55",
			"sys/bus/pci/devices/0000:00:0b.0/vendor": "0x8086", "sys/bus/pci/devices/0000:00:0b.0/device": "0x643e",
		}, &NPU{Name: "Intel AI Boost (Lunar Lake)"}},
		"another maker's accelerator": {map[string]string{
			"sys/class/accel/accel0/device/vendor": "0x1022", "sys/class/accel/accel0/device/device": "0x7d1d",
		}, nil},
		"none": {nil, nil},
	} {
		if diff := cmp.Diff(c.want, machineWith(t, c.files).npu()); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestPower(t *testing.T) {
	const dir = "sys/class/power_supply/"
	battery := func(status, capacity, online string) map[string]string {
		return map[string]string{
			dir + "BAT0/type": "Battery", dir + "BAT0/status": status, dir + "BAT0/capacity": capacity, dir + "BAT0/present": "1",
			dir + "AC/type": "Mains", dir + "AC/online": online,
			dir + "hidpp_battery_0/type": "Battery", dir + "hidpp_battery_0/scope": "Device", dir + "hidpp_battery_0/capacity": "5",
		}
	}
	two := battery("Discharging", "40", "0")
	two[dir+"BAT1/type"], two[dir+"BAT1/capacity"], two[dir+"BAT1/status"] = "Battery", "80", "Not charging"
	usb := battery("Charging", "60", "0")
	usb[dir+"ucsi-1/type"], usb[dir+"ucsi-1/online"] = "USB", "1"
	gone := battery("Unknown", "0", "1")
	gone[dir+"BAT0/present"] = "0"
	for name, c := range map[string]struct {
		files map[string]string
		want  Power
	}{
		"unplugged":      {battery("Discharging", "73", "0"), Power{Battery: true, OnBattery: true, Percent: 73}},
		"plugged in":     {battery("Full", "100", "1"), Power{Battery: true, Percent: 100}},
		"weak charger":   {battery("Discharging", "50", "1"), Power{Battery: true, Percent: 50}},
		"two batteries":  {two, Power{Battery: true, OnBattery: true, Percent: 60}},
		"charged by USB": {usb, Power{Battery: true, Percent: 60}},
		"taken out":      {gone, Power{}},
		"desktop":        {nil, Power{}},
	} {
		if got := machineWith(t, c.files).power(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestOtherGPU(t *testing.T) {
	amd := machineWith(t, map[string]string{"sys/class/drm/card1/device/mem_info_vram_total": "8589934592"})
	if amd.otherGPU() == "" {
		t.Error("the AMD card was not found")
	}
	if note := machineWith(t, nil).otherGPU(); note != "" {
		t.Error(note)
	}
	// Where an NVIDIA driver is, its answer counts, although the processor's graphics are AMD's too.
	d := NewDetector(t.TempDir())
	d.machine = amd
	for _, c := range []struct {
		open func() (gpuSource, error)
		want string
	}{
		{func() (gpuSource, error) { return nil, errNoDriver }, amd.otherGPU()},
		{func() (gpuSource, error) { return &fakeCard{lost: true}, nil }, ErrGPULost.Error()},
	} {
		d.open = c.open
		if h := d.Read(t.Context()); len(h.Notes) != 1 || h.Notes[0] != c.want {
			t.Errorf("%q, want %q", h.Notes, c.want)
		}
	}
}
