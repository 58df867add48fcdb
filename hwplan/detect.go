package hwplan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
)

// A Detector reads what a machine has. What does not change (processors, NPU) it
// reads once. It is safe for use by several goroutines.
type Detector struct {
	dataDir string
	machine machine
	open    func() (gpuSource, error) // finds the cards, or says why there are none

	mu    sync.Mutex // one reading at a time
	cards gpuSource  // nil until open succeeds
	cpu   CPU        // its Threads are 0 until it was read
	npu   *NPU
}

// NewDetector makes a Detector of this machine; the disk is the one of the data
// directory, which need not exist yet.
func NewDetector(dataDir string) *Detector {
	return &Detector{dataDir: dataDir, machine: newMachine(), open: openGPUs}
}

// Read takes a full reading. It has no error: what cannot be read stays zero, and
// Hardware.Notes say why. Reading a laptop's card wakes it, so a program at rest
// should read rarely.
func (d *Detector) Read(ctx context.Context) Hardware {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cpu.Threads == 0 {
		d.cpu, d.npu = readCPU(ctx, d.machine), d.machine.npu()
	}
	h := Hardware{OS: runtime.GOOS, CPU: d.cpu, NPU: d.npu, Power: d.machine.power(), GPUs: []GPU{}, Notes: []string{}}
	var err error
	if h.RAM, err = d.readRAM(ctx); err != nil {
		h.Notes = append(h.Notes, fmt.Sprintf("the memory could not be read: %v", err))
	}
	if h.Disk, err = readDisk(ctx, d.dataDir); err != nil {
		h.Notes = append(h.Notes, fmt.Sprintf("the disk could not be read: %v", err))
	}
	gpus, err := d.readGPUs(ctx)
	h.GPUs = append(h.GPUs, gpus...)
	// Where there is no driver of NVIDIA's, a machine's own reason says more.
	if note := d.machine.otherGPU(); note != "" && errors.Is(err, errNoDriver) {
		h.OtherGPU, h.Notes = true, append(h.Notes, note)
	} else if err != nil {
		h.Notes = append(h.Notes, err.Error())
	}
	return h
}

// Close lets go of the graphics driver.
func (d *Detector) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cards == nil {
		return nil
	}
	cards := d.cards
	d.cards = nil
	return cards.close()
}

// readGPUs returns the cards that answer, and why others do not. After an error
// the driver is opened anew by the next call: it may have been reset, updated or
// installed in the meantime.
func (d *Detector) readGPUs(ctx context.Context) ([]GPU, error) {
	if d.cards == nil {
		cards, err := d.open()
		if err != nil {
			return nil, err
		}
		d.cards = cards
	}
	gpus, err := d.cards.read(ctx)
	if err != nil && ctx.Err() == nil {
		_ = d.cards.close() // the reading's error says more
		d.cards = nil
	}
	if err == nil && len(gpus) == 0 {
		err = errors.New("the NVIDIA driver knows no graphics card")
	}
	return gpus, err
}

func (d *Detector) readRAM(ctx context.Context) (Memory, error) {
	ram, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return Memory{}, err
	}
	return d.machine.limitRAM(Memory{TotalBytes: int64(ram.Total), FreeBytes: int64(ram.Available)}), nil
}

// readDisk asks for the nearest directory that exists, for the data directory is made later.
func readDisk(ctx context.Context, dir string) (Memory, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Memory{}, err
	}
	for {
		_, err := os.Stat(dir)
		if parent := filepath.Dir(dir); errors.Is(err, os.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		break
	}
	usage, err := disk.UsageWithContext(ctx, dir)
	if err != nil {
		return Memory{}, err
	}
	return Memory{TotalBytes: int64(usage.Total), FreeBytes: int64(usage.Free)}, nil
}
