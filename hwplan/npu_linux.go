package hwplan

import (
	"os"
	"path/filepath"
)

// npu finds Intel's NPU among the accelerators, or, where it has no driver, on the PCI bus.
func (m machine) npu() *NPU {
	for _, accel := range m.glob("sys/class/accel/accel*") {
		if found := m.npuAt(filepath.Join(accel, "device")); found != nil {
			found.Path = "/dev/accel/" + filepath.Base(accel)
			return found
		}
	}
	for _, device := range m.glob("sys/bus/pci/devices/*") {
		if found := m.npuAt(device); found != nil {
			return found
		}
	}
	return nil
}

func (m machine) npuAt(device string) *NPU {
	name, ok := npuNames[m.number(device, "device")]
	if !ok || m.number(device, "vendor") != intelVendor {
		return nil
	}
	found := &NPU{Name: name}
	if driver, err := os.Readlink(filepath.Join(device, "driver")); err == nil {
		found.Driver = filepath.Base(driver)
	}
	return found
}
