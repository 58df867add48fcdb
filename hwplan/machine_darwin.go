package hwplan

import "golang.org/x/sys/unix"

// A machine reads what each system tells in its own way.
type machine struct{}

func newMachine() machine { return machine{} }

// performanceCores counts the physical cores of the fastest kind; Intel's Macs have one kind and do not say.
func (machine) performanceCores() int {
	n, err := unix.SysctlUint32("hw.perflevel0.physicalcpu")
	if err != nil {
		return 0
	}
	return int(n)
}

func (machine) limitRAM(ram Memory) Memory { return ram }

func (machine) npu() *NPU { return nil }

func (machine) power() Power { return Power{} }

func (machine) otherGPU() string {
	return "on a Mac the graphics share the processor's memory: Acervo leaves the placement of models to the engine"
}
