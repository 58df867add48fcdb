package parse

import (
	"encoding/binary"
	"errors"
	"image"
	"io"
	"slices"

	"golang.org/x/image/tiff"
)

// maxTIFFPages bounds the pages of a TIFF file that is read.
const maxTIFFPages = 5000

// The tags of a TIFF directory that are looked at.
const (
	tagSubfile      = 254 // bit 0: a smaller copy of another page
	tagCompression  = 259
	tagPhotometric  = 262
	tagStrips       = 273
	tagOrientation  = 274
	tagRowsPerStrip = 278
	tagStripBytes   = 279
	tagJPEGTables   = 347
)

// A tiffPage is a page of a TIFF file, or the block of such a file that EXIF is.
type tiffPage struct {
	data []byte
	file binary.ByteOrder
	at   uint32 // of its directory
}

// tiffPages follows the directories of a TIFF file, without copies in small, at
// least until there are more pages than are read.
func tiffPages(data []byte) []tiffPage {
	var file binary.ByteOrder
	switch {
	case len(data) < 8:
		return nil
	case string(data[:4]) == "II*\x00":
		file = binary.LittleEndian
	case string(data[:4]) == "MM\x00*":
		file = binary.BigEndian
	default:
		return nil
	}
	var pages []tiffPage
	seen := map[uint32]bool{0: true}
	for at := file.Uint32(data[4:]); !seen[at] && len(seen) <= 2*maxTIFFPages+1; {
		seen[at] = true
		page := tiffPage{data: data, file: file, at: at}
		entries, next := page.directory()
		if entries == nil {
			break
		}
		if page.number(tagSubfile)&1 == 0 {
			pages = append(pages, page)
		}
		at = next
	}
	return pages
}

const tiffEntry = 12 // bytes of an entry: tag, kind, count, value or where it is

// directory returns the entries of the page, and where those of the next are.
func (t tiffPage) directory() (entries []byte, next uint32) {
	body := t.from(t.at)
	if len(body) < 2 {
		return nil, 0
	}
	size := int(t.file.Uint16(body)) * tiffEntry
	if body = body[2:]; size == 0 || size > len(body) {
		return nil, 0
	}
	if size+4 <= len(body) {
		next = t.file.Uint32(body[size:])
	}
	return body[:size], next
}

// from is what stands in the file from an offset on.
func (t tiffPage) from(at uint32) []byte { return t.data[min(uint64(at), uint64(len(t.data))):] }

// value returns the bytes of a tag and of what size its numbers are; none where
// the page has no such tag, or the file not so many bytes.
func (t tiffPage) value(tag uint16) (raw []byte, size int) {
	entries, _ := t.directory()
	for e := range slices.Chunk(entries, tiffEntry) {
		if t.file.Uint16(e) != tag {
			continue
		}
		size = map[uint16]int{1: 1, 3: 2, 4: 4, 7: 1}[t.file.Uint16(e[2:])]
		n := uint64(t.file.Uint32(e[4:])) * uint64(size)
		raw = e[8:]
		if n > 4 {
			raw = t.from(t.file.Uint32(raw))
		}
		if n > uint64(len(raw)) {
			return nil, 0
		}
		return raw[:n], size
	}
	return nil, 0
}

// numbers are the whole numbers of a tag.
func (t tiffPage) numbers(tag uint16) []uint32 {
	raw, size := t.value(tag)
	var all []uint32
	for ; size >= 2 && len(raw) >= size; raw = raw[size:] {
		if size == 2 {
			all = append(all, uint32(t.file.Uint16(raw)))
		} else {
			all = append(all, t.file.Uint32(raw))
		}
	}
	return all
}

// number is the first number of a tag, 0 without one.
func (t tiffPage) number(tag uint16) uint32 {
	if all := t.numbers(tag); len(all) > 0 {
		return all[0]
	}
	return 0
}

// orientation is as in EXIF.
func (t tiffPage) orientation() int { return int(t.number(tagOrientation)) }

func (t tiffPage) config() (image.Config, error) { return tiff.DecodeConfig(t) }

func (t tiffPage) decode() (image.Image, error) {
	if t.number(tagCompression) == compressedJPEG {
		return t.decodeJPEG()
	}
	return tiff.Decode(t)
}

// ReadAt makes the page the first of its file, which is the one that the decoder reads.
func (t tiffPage) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(t.data)) {
		return 0, io.EOF
	}
	n := copy(p, t.data[off:])
	var first [4]byte
	t.file.PutUint32(first[:], t.at)
	for i, b := range first {
		if j := int64(4+i) - off; j >= 0 && j < int64(n) {
			p[j] = b
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Read is there because the decoder asks for it; it uses ReadAt.
func (t tiffPage) Read([]byte) (int, error) {
	return 0, errors.New("a page of a TIFF file is read at offsets")
}
