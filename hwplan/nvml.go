//go:build linux && cgo

package hwplan

import (
	"context"
	"errors"
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// openGPUs reads the cards through NVML, the driver's own library, and through
// nvidia-smi where the library is not found but the program is.
func openGPUs() (gpuSource, error) {
	source, err := openNVML("libnvidia-ml.so.1")
	if err == nil {
		return source, nil
	}
	if path := findSMI(); path != "" && errors.Is(err, errNoDriver) {
		return &smiSource{path: path}, nil
	}
	return nil, err
}

// nvmlSource reads the cards through NVML.
//
// A call of a function that the library lacks ends this process ("symbol lookup
// error", exit status 127): nothing is called after an Init that failed, not even
// the library's own names for errors, and every function is looked up first.
type nvmlSource struct {
	lib nvml.Interface
}

func openNVML(library string) (*nvmlSource, error) {
	lib := nvml.New(nvml.WithLibraryPath(library))
	switch ret := lib.Init(); ret {
	case nvml.SUCCESS:
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return nil, fmt.Errorf("%w (%s is missing)", errNoDriver, library)
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, errors.New("the NVIDIA driver is installed but not loaded")
	default:
		return nil, fmt.Errorf("the NVIDIA driver could not be opened (NVML error %d)", int(ret))
	}
	source := &nvmlSource{lib: lib}
	for _, needed := range [][]string{
		{"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
		{"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
		{"nvmlDeviceGetName"}, {"nvmlDeviceGetMemoryInfo"}, {"nvmlShutdown"},
	} {
		if !source.has(needed...) {
			return nil, fmt.Errorf("the NVIDIA driver is not usable: its library has no %s", needed[0])
		}
	}
	return source, nil
}

// has reports whether the library has one of the functions.
func (s *nvmlSource) has(functions ...string) bool {
	for _, function := range functions {
		if s.lib.Extensions().LookupSymbol(function) == nil {
			return true
		}
	}
	return false
}

func (s *nvmlSource) close() error {
	return nvmlError(s.lib.Shutdown())
}

func (s *nvmlSource) read(ctx context.Context) ([]GPU, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	count, ret := s.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, nvmlError(ret)
	}
	var driver string
	if s.has("nvmlSystemGetDriverVersion") {
		driver, _ = s.lib.SystemGetDriverVersion()
	}
	var gpus []GPU
	var first error
	for i := range count {
		gpu, ret := s.card(i)
		if ret != nvml.SUCCESS {
			if first == nil {
				first = nvmlError(ret)
			}
			continue
		}
		gpu.Driver = driver
		gpus = append(gpus, gpu)
	}
	return gpus, first
}

// card reads one card. Only its name and memory must be known.
func (s *nvmlSource) card(index int) (GPU, nvml.Return) {
	device, ret := s.lib.DeviceGetHandleByIndex(index)
	if ret != nvml.SUCCESS {
		return GPU{}, ret
	}
	name, ret := device.GetName()
	if ret != nvml.SUCCESS {
		return GPU{}, ret
	}
	// The first version of this call: the second tells apart what the driver keeps for itself, but is not in old drivers.
	memory, ret := device.GetMemoryInfo()
	if ret != nvml.SUCCESS && ret != nvml.ERROR_NOT_SUPPORTED { // a card without memory of its own
		return GPU{}, ret
	}
	gpu := GPU{
		Index: index, Name: name,
		Memory: Memory{TotalBytes: int64(memory.Total), FreeBytes: int64(memory.Free)}, UsedBytes: int64(memory.Used),
	}
	if s.has("nvmlDeviceGetUUID") {
		gpu.UUID, _ = device.GetUUID()
	}
	s.facts(device, &gpu)
	s.state(device, &gpu)
	return gpu, nvml.SUCCESS
}

// number is what a function answers, 0 where the driver lacks it or the card does not support it.
func (s *nvmlSource) number(function string, call func() (uint32, nvml.Return)) int {
	if !s.has(function) {
		return 0
	}
	n, ret := call()
	if ret != nvml.SUCCESS {
		return 0
	}
	return int(n)
}

// clock asks for a clock: both functions have the same parameter.
func (s *nvmlSource) clock(function string, call func(nvml.ClockType) (uint32, nvml.Return), of nvml.ClockType) int {
	return s.number(function, func() (uint32, nvml.Return) { return call(of) })
}

// facts fills in what does not change.
func (s *nvmlSource) facts(device nvml.Device, gpu *GPU) {
	gpu.BusBits = s.number("nvmlDeviceGetMemoryBusWidth", device.GetMemoryBusWidth)
	gpu.MaxMemoryMHz = s.clock("nvmlDeviceGetMaxClockInfo", device.GetMaxClockInfo, nvml.CLOCK_MEM)
	gpu.MaxSMMHz = s.clock("nvmlDeviceGetMaxClockInfo", device.GetMaxClockInfo, nvml.CLOCK_SM)
	gpu.SlowdownC = s.number("nvmlDeviceGetTemperatureThreshold", func() (uint32, nvml.Return) {
		return device.GetTemperatureThreshold(nvml.TEMPERATURE_THRESHOLD_SLOWDOWN)
	})
}

// state fills in what changes, but for the memory.
func (s *nvmlSource) state(device nvml.Device, gpu *GPU) {
	gpu.MemoryMHz = s.clock("nvmlDeviceGetClockInfo", device.GetClockInfo, nvml.CLOCK_MEM)
	gpu.SMMHz = s.clock("nvmlDeviceGetClockInfo", device.GetClockInfo, nvml.CLOCK_SM)
	gpu.TemperatureC = s.number("nvmlDeviceGetTemperature", func() (uint32, nvml.Return) {
		return device.GetTemperature(nvml.TEMPERATURE_GPU)
	})
	gpu.PowerW = float64(s.number("nvmlDeviceGetPowerUsage", device.GetPowerUsage)) / 1000
	gpu.PowerLimitW = float64(s.number("nvmlDeviceGetEnforcedPowerLimit", device.GetEnforcedPowerLimit)) / 1000
	if s.has("nvmlDeviceGetUtilizationRates") {
		if rates, ret := device.GetUtilizationRates(); ret == nvml.SUCCESS {
			gpu.Utilization = int(rates.Gpu)
		}
	}
	gpu.Throttle = throttleWords(s.reasons(device))
}

// reasons asks by the new name, which came with driver 535, or by the old one.
func (s *nvmlSource) reasons(device nvml.Device) uint64 {
	for _, name := range []struct {
		function string
		call     func() (uint64, nvml.Return)
	}{
		{"nvmlDeviceGetCurrentClocksEventReasons", device.GetCurrentClocksEventReasons},
		{"nvmlDeviceGetCurrentClocksThrottleReasons", device.GetCurrentClocksThrottleReasons},
	} {
		if !s.has(name.function) {
			continue
		}
		if bits, ret := name.call(); ret == nvml.SUCCESS {
			return bits
		}
	}
	return 0
}

// nvmlError has no use for the library's own text, which is one more function that could be missing.
func nvmlError(ret nvml.Return) error {
	switch ret {
	case nvml.SUCCESS:
		return nil
	case nvml.ERROR_GPU_IS_LOST, nvml.ERROR_RESET_REQUIRED:
		return ErrGPULost
	default:
		return fmt.Errorf("the NVIDIA driver did not answer (NVML error %d)", int(ret))
	}
}
