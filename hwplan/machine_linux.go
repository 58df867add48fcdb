package hwplan

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A machine reads what each system tells in its own way. On Linux that is the
// kernel's files, under a root that is / but in tests.
type machine struct{ root string }

func newMachine() machine { return machine{root: "/"} }

// text is what a file of the kernel says, "" where there is none.
func (m machine) text(path ...string) string {
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// number is text as a number, decimal or with 0x; 0 where it is none.
func (m machine) number(path ...string) uint64 {
	n, err := strconv.ParseUint(m.text(path...), 0, 64)
	if err != nil {
		return 0
	}
	return n
}

func (m machine) glob(pattern string) []string {
	paths, err := filepath.Glob(filepath.Join(m.root, pattern))
	if err != nil {
		return nil // the patterns are constants
	}
	return paths
}

// otherGPU tells of a card whose memory Acervo does not plan.
func (m machine) otherGPU() string {
	for _, path := range m.glob("sys/class/drm/card*/device/mem_info_vram_total") { // only amdgpu has it
		if m.number(path) > 0 {
			return "an AMD graphics card was found: Acervo leaves the placement of models on it to the engine"
		}
	}
	return ""
}

// performanceCores counts the physical cores of the faster kind; 0 is one kind, or unknown.
func (m machine) performanceCores() int {
	if list := m.text(m.root, "sys/devices/cpu_core/cpus"); list != "" { // Intel's hybrids
		var cpus []string
		for _, n := range cpuList(list) {
			cpus = append(cpus, filepath.Join(m.root, "sys/devices/system/cpu/cpu"+strconv.Itoa(n)))
		}
		return m.physical(cpus)
	}
	cpus := m.glob("sys/devices/system/cpu/cpu[0-9]*")
	for _, measure := range []string{"cpu_capacity", "cpufreq/cpuinfo_max_freq"} {
		if fast := m.fastest(cpus, measure); fast != nil {
			return m.physical(fast)
		}
	}
	return 0
}

// fastest are the processors within a fifth of the best by a measure, for favoured
// cores of one kind differ a little too; nil where not all have the measure.
func (m machine) fastest(cpus []string, measure string) []string {
	var values []uint64
	for _, cpu := range cpus {
		v := m.number(cpu, measure)
		if v == 0 {
			return nil
		}
		values = append(values, v)
	}
	var fast []string
	for i, cpu := range cpus {
		if values[i]*5 >= slices.Max(values)*4 {
			fast = append(fast, cpu)
		}
	}
	return fast
}

// physical counts the cores behind logical processors: siblings share a list.
func (m machine) physical(cpus []string) int {
	cores := map[string]bool{}
	for _, cpu := range cpus {
		siblings := m.text(cpu, "topology/thread_siblings_list")
		if siblings == "" {
			siblings = cpu
		}
		cores[siblings] = true
	}
	return len(cores)
}

// cpuList reads the kernel's lists of processors: "0-11,16".
func cpuList(list string) []int {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.Atoi(low)
		last, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || last-first > 1<<16 {
			return nil
		}
		for n := first; n <= last; n++ {
			cpus = append(cpus, n)
		}
	}
	return cpus
}

// limitRAM bounds the memory by the limits (cgroup v2) of this process's group and of all above it.
func (m machine) limitRAM(ram Memory) Memory {
	var group string
	for line := range strings.Lines(m.text(m.root, "proc/self/cgroup")) {
		if v2, ok := strings.CutPrefix(line, "0::"); ok {
			group = strings.TrimSpace(v2)
		}
	}
	for ; group != ""; group = filepath.Dir(group) {
		dir := filepath.Join(m.root, "sys/fs/cgroup", group)
		if limit := int64(m.number(dir, "memory.max")); limit > 0 { // "max" is none
			used := int64(m.number(dir, "memory.current")) - m.inactiveFile(dir)
			ram.TotalBytes = min(ram.TotalBytes, limit)
			ram.FreeBytes = min(ram.FreeBytes, max(0, limit-max(0, used)))
		}
		if filepath.Dir(group) == group {
			break
		}
	}
	return ram
}

// inactiveFile is the part of a group's memory that is a cache the kernel gives up first.
func (m machine) inactiveFile(dir string) int64 {
	for line := range strings.Lines(m.text(dir, "memory.stat")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "inactive_file "); ok {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
