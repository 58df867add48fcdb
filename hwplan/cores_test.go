package hwplan

import (
	"encoding/binary"
	"testing"
)

func TestFastestCores(t *testing.T) {
	record := func(class byte) []byte { // 48 bytes: a processor of one group
		r := make([]byte, 48)
		binary.LittleEndian.PutUint32(r[4:], 48)
		r[9] = class
		return r
	}
	machine := func(classes ...byte) (records []byte) {
		for _, c := range classes {
			records = append(records, record(c)...)
		}
		return records
	}
	cut := machine(1, 1)
	for name, c := range map[string]struct {
		records []byte
		want    int
	}{
		"one kind":                 {machine(0, 0, 0, 0), 4},
		"two fast, four slow":      {machine(1, 1, 0, 0, 0, 0), 2},
		"three kinds, slow first":  {machine(0, 0, 1, 1, 1, 2), 1},
		"nothing":                  {nil, 0},
		"cut off":                  {cut[:60], 0},
		"a record of no size":      {make([]byte, 48), 0},
		"a record longer than all": {append(machine(1), 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 1), 0},
	} {
		if got := fastestCores(c.records); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
