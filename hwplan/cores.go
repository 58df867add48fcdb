package hwplan

import "encoding/binary"

// fastestCores counts the cores of the highest efficiency class in what Windows'
// GetLogicalProcessorInformationEx answers for RelationProcessorCore. Each record
// is a relationship (4 bytes), its own size (4), flags (1) and the class (1), then
// what does not matter here.
func fastestCores(records []byte) int {
	const head = 10
	best, cores := byte(0), 0
	for len(records) >= head {
		size := binary.LittleEndian.Uint32(records[4:])
		if size < head || uint64(size) > uint64(len(records)) {
			return 0
		}
		switch class := records[9]; {
		case cores == 0 || class > best:
			best, cores = class, 1
		case class == best:
			cores++
		}
		records = records[size:]
	}
	return cores
}
