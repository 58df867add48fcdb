package hwplan

import (
	"context"
	"runtime"

	"github.com/klauspost/cpuid/v2"
	"github.com/shirou/gopsutil/v4/cpu"
)

// simd are the instruction sets that the engines have kernels for.
var simd = []struct {
	id   cpuid.FeatureID
	name string
}{
	{cpuid.SSE42, "SSE4.2"},
	{cpuid.AVX, "AVX"},
	{cpuid.F16C, "F16C"},
	{cpuid.FMA3, "FMA3"},
	{cpuid.AVX2, "AVX2"},
	{cpuid.AVXVNNI, "AVXVNNI"},
	{cpuid.AVX512F, "AVX512F"},
	{cpuid.AVX512VNNI, "AVX512VNNI"},
	{cpuid.AVX512BF16, "AVX512BF16"},
	{cpuid.AMXINT8, "AMXINT8"},
	{cpuid.AMXBF16, "AMXBF16"},
	{cpuid.ASIMD, "NEON"},
	{cpuid.ASIMDDP, "DOTPROD"},
	{cpuid.I8MM, "I8MM"},
	{cpuid.SVE, "SVE"},
}

// readCPU counts what this process may use: affinity bounds runtime.NumCPU, and a
// container's quota GOMAXPROCS.
func readCPU(ctx context.Context, m machine) CPU {
	threads := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	cores, err := cpu.CountsWithContext(ctx, false)
	if err != nil || cores == 0 {
		cores = threads
	}
	c := CPU{Model: cpuid.CPU.BrandName, Cores: min(cores, threads), Threads: threads, SIMD: []string{}}
	c.PerformanceCores = c.Cores
	if fast := m.performanceCores(); fast > 0 {
		c.PerformanceCores = min(fast, c.Cores)
	}
	if c.Model == "" { // many ARM processors do not say
		if infos, err := cpu.InfoWithContext(ctx); err == nil && len(infos) > 0 {
			c.Model = infos[0].ModelName
		}
	}
	for _, s := range simd {
		if cpuid.CPU.Has(s.id) {
			c.SIMD = append(c.SIMD, s.name)
		}
	}
	return c
}
