package hwplan

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// smiFields are what nvidia-smi is asked for, in this order; the throttle reasons follow as the last.
var smiFields = []string{
	"index", "uuid", "name", "driver_version",
	"memory.total", "memory.free", "memory.used",
	"clocks.current.memory", "clocks.max.memory", "clocks.current.sm", "clocks.max.sm",
	"temperature.gpu", "power.draw", "enforced.power.limit", "utilization.gpu",
}

// busBits are the memory buses of common cards with 4 to 24 GB, for nvidia-smi
// does not tell them: NVIDIA's "Compare GeForce" tables, laptops and desktops. Names
// sold with different buses (RTX 3060, desktop RTX 3050) are left out.
var busBits = map[string]int{
	"NVIDIA GeForce RTX 3050 6GB Laptop GPU": 96,
	"NVIDIA GeForce RTX 3050 Laptop GPU":     128,
	"NVIDIA GeForce RTX 3050 Ti Laptop GPU":  128,
	"NVIDIA GeForce RTX 3060 Laptop GPU":     192,
	"NVIDIA GeForce RTX 3070 Laptop GPU":     256,
	"NVIDIA GeForce RTX 4050 Laptop GPU":     96,
	"NVIDIA GeForce RTX 4060 Laptop GPU":     128,
	"NVIDIA GeForce RTX 4070 Laptop GPU":     128,
	"NVIDIA GeForce RTX 3090":                384,
	"NVIDIA GeForce RTX 4060":                128,
	"NVIDIA GeForce RTX 4070":                192,
	"NVIDIA GeForce RTX 4090":                384,
}

// parseSMI reads nvidia-smi's CSV, a line a card. It wants what was asked for: a
// line of other fields, or a value that is neither a number nor one of its words
// for "unknown", is an error. Lost cards are left out, with ErrGPULost.
func parseSMI(out string) ([]GPU, error) {
	var gpus []GPU
	var lost error
	for line := range strings.Lines(out) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		gpu, err := parseSMILine(line)
		switch {
		case errors.Is(err, ErrGPULost):
			lost = err
		case err != nil:
			return nil, err
		default:
			gpus = append(gpus, gpu)
		}
	}
	return gpus, lost
}

func parseSMILine(line string) (GPU, error) {
	if strings.Contains(line, "[GPU is lost]") {
		return GPU{}, ErrGPULost
	}
	values := strings.Split(line, ",")
	if len(values) != len(smiFields)+1 {
		return GPU{}, fmt.Errorf("nvidia-smi: %d values in a line, %d were asked for: %.80q", len(values), len(smiFields)+1, line)
	}
	row := &smiRow{values: map[string]string{}}
	for i, value := range values {
		field := smiReasons
		if i < len(smiFields) {
			field = smiFields[i]
		}
		row.values[field] = strings.TrimSpace(value)
	}
	gpu := GPU{
		Index: row.number("index", ""), UUID: row.text("uuid"), Name: row.text("name"), Driver: row.text("driver_version"),
		Memory:    Memory{TotalBytes: row.mib("memory.total"), FreeBytes: row.mib("memory.free")},
		UsedBytes: row.mib("memory.used"), BusBits: busBits[row.text("name")],
		MemoryMHz: row.number("clocks.current.memory", "MHz"), MaxMemoryMHz: row.number("clocks.max.memory", "MHz"),
		SMMHz: row.number("clocks.current.sm", "MHz"), MaxSMMHz: row.number("clocks.max.sm", "MHz"),
		TemperatureC: row.number("temperature.gpu", ""), Utilization: row.number("utilization.gpu", "%"),
		PowerW: row.watts("power.draw"), PowerLimitW: row.watts("enforced.power.limit"),
		Throttle: throttleWords(row.bits(smiReasons)),
	}
	for _, field := range []string{"index", "name"} {
		if row.text(field) == "" {
			row.fail(field, row.values[field])
		}
	}
	return gpu, row.err
}

// A smiRow is one line; it keeps the first error.
type smiRow struct {
	values map[string]string
	err    error
}

// text is a field's value, "" where nvidia-smi does not know it: N/A, [N/A],
// [Not Supported], [Unknown Error], [Insufficient Permissions] …
func (r *smiRow) text(field string) string {
	value := r.values[field]
	if value == "N/A" || strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
		return ""
	}
	return value
}

// number is a field as a number, with its unit or without; 0 where it is unknown.
func (r *smiRow) number(field, unit string) int {
	value := r.text(field)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(value, " "+unit), 10, 31)
	if err != nil {
		r.fail(field, value)
	}
	return int(n)
}

func (r *smiRow) mib(field string) int64 { return int64(r.number(field, "MiB")) * MiB }

func (r *smiRow) watts(field string) float64 {
	value := r.text(field)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(value, " W"), 64)
	if err != nil || n < 0 || n > 1e5 || math.IsNaN(n) {
		r.fail(field, value)
		return 0
	}
	return n
}

// bits reads a mask: 0x0000000000000004.
func (r *smiRow) bits(field string) uint64 {
	value := r.text(field)
	if value == "" {
		return 0
	}
	digits, isHex := strings.CutPrefix(value, "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || !isHex {
		r.fail(field, value)
	}
	return n
}

func (r *smiRow) fail(field, value string) {
	if r.err == nil {
		r.err = fmt.Errorf("nvidia-smi: %s is %.80q", field, value)
	}
}
