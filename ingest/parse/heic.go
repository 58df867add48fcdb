package parse

// HEICHead is how much of a file tells whether it is a HEIC photo.
const HEICHead = 12

// HEICType returns the type of a HEIC photo by the beginning of its file, "" for any other file. No parser reads
// these: all decoders in Go want C, or load what they find on the machine.
func HEICType(head []byte) string {
	if len(head) < HEICHead || string(head[4:8]) != "ftyp" {
		return ""
	}
	switch string(head[8:HEICHead]) {
	case "heic", "heix":
		return "image/heic"
	case "mif1", "heim", "heis":
		return "image/heif"
	}
	return ""
}
