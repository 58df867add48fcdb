package hwplan

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

var (
	kernel32                         = windows.NewLazySystemDLL("kernel32.dll")
	getLogicalProcessorInformationEx = kernel32.NewProc("GetLogicalProcessorInformationEx")
	getSystemPowerStatus             = kernel32.NewProc("GetSystemPowerStatus")
)

// A machine reads what each system tells in its own way.
type machine struct{}

func newMachine() machine { return machine{} }

// performanceCores counts the physical cores of the fastest kind; 0 is unknown.
func (machine) performanceCores() int {
	const relationProcessorCore = 0
	size := uint32(64 << 10) // a hundred bytes a core are plenty; if not, the call says how many
	for range 2 {
		records := make([]byte, size)
		ok, _, err := getLogicalProcessorInformationEx.Call(relationProcessorCore,
			uintptr(unsafe.Pointer(&records[0])), uintptr(unsafe.Pointer(&size)))
		if ok != 0 && int(size) <= len(records) {
			return fastestCores(records[:size])
		}
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) {
			return 0
		}
	}
	return 0
}

// limitRAM: a Windows container's own limit is not asked for.
func (machine) limitRAM(ram Memory) Memory { return ram }

func (machine) otherGPU() string { return "" }

// npu looks for Intel's NPU among the PCI devices that Windows knows.
func (machine) npu() *NPU {
	const pci = `SYSTEM\CurrentControlSet\Enum\PCI`
	for _, device := range subkeys(pci) {
		for id, name := range npuNames {
			if !strings.HasPrefix(strings.ToUpper(device), fmt.Sprintf("VEN_%04X&DEV_%04X", intelVendor, id)) {
				continue
			}
			for _, instance := range subkeys(pci + `\` + device) {
				return npuAt(pci+`\`+device+`\`+instance, name)
			}
		}
	}
	return nil
}

// npuAt reads a device's driver and, where it has one, the driver's name for it.
func npuAt(path, name string) *NPU {
	found := &NPU{Name: name}
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return found
	}
	defer key.Close()
	if service, _, err := key.GetStringValue("Service"); err == nil {
		found.Driver = service
	}
	// "@oem12.inf,%npu.devicedesc%;Intel(R) AI Boost"
	if described, _, err := key.GetStringValue("DeviceDesc"); err == nil && found.Driver != "" {
		found.Name = described[strings.LastIndex(described, ";")+1:]
	}
	return found
}

func subkeys(path string) []string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.ENUMERATE_SUB_KEYS)
	if err != nil {
		return nil
	}
	defer key.Close()
	names, err := key.ReadSubKeyNames(-1)
	if err != nil {
		return nil
	}
	return names
}

func (machine) power() Power {
	var status systemPowerStatus
	if ok, _, _ := getSystemPowerStatus.Call(uintptr(unsafe.Pointer(&status))); ok == 0 {
		return Power{}
	}
	const noBattery, unknown = 0x80, 0xff
	if status.batteryFlag == unknown || status.batteryFlag&noBattery != 0 {
		return Power{}
	}
	power := Power{Battery: true, OnBattery: status.acLine == 0}
	if status.percent <= 100 {
		power.Percent = int(status.percent)
	}
	return power
}

// systemPowerStatus is SYSTEM_POWER_STATUS of winbase.h.
type systemPowerStatus struct {
	acLine      byte // 0 battery, 1 mains, 255 unknown
	batteryFlag byte
	percent     byte // 255 unknown
	saver       byte
	secondsLeft uint32
	secondsFull uint32
}
