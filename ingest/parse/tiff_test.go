package parse

import (
	"encoding/binary"
	"testing"
)

// TestTIFFPagesAreBounded: a file of more pages than are read says so. Copies in small do not count.
func TestTIFFPagesAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		pages, copies int
		code          Code
	}{
		"as many as may be":          {maxTIFFPages, 0, Corrupt}, // of no size
		"as many, each with a copy":  {maxTIFFPages, maxTIFFPages, Corrupt},
		"one more":                   {maxTIFFPages + 1, 0, TooLarge},
		"one more, each with a copy": {maxTIFFPages + 1, maxTIFFPages, TooLarge},
	} {
		data := []byte("II*\x00\x08\x00\x00\x00")
		for i := range c.pages + c.copies {
			directory := make([]byte, 2+tiffEntry+4)
			directory[0] = 1
			binary.LittleEndian.PutUint16(directory[2:], tagSubfile)
			binary.LittleEndian.PutUint16(directory[4:], 4)
			binary.LittleEndian.PutUint32(directory[6:], 1)
			if i%2 == 1 && i/2 < c.copies {
				directory[10] = 1
			}
			if next := len(data) + len(directory); i+1 < c.pages+c.copies {
				binary.LittleEndian.PutUint32(directory[2+tiffEntry:], uint32(next))
			}
			data = append(data, directory...)
		}
		_, err := parseImage(t.Context(), File{Data: data}, nil)
		t.Run(name, func(t *testing.T) { wantError(t, err, c.code) })
	}
}
