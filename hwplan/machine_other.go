//go:build !linux && !windows && !darwin

package hwplan

// A machine reads what each system tells in its own way; of this one nothing is known.
type machine struct{}

func newMachine() machine { return machine{} }

func (machine) performanceCores() int { return 0 }

func (machine) limitRAM(ram Memory) Memory { return ram }

func (machine) npu() *NPU { return nil }

func (machine) power() Power { return Power{} }

func (machine) otherGPU() string { return "" }
