package parse

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/saintfish/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// maxSource is how large a text file may be, in bytes.
const maxSource = 64 << 20

// parseText reads plain text: a paragraph ends at a blank line. Headings are
// not guessed.
func parseText(_ context.Context, f File, _ Progress) (Content, error) {
	text, err := decode(f.Data, nil)
	if err != nil {
		return Content{}, err
	}
	b := newBuilder(maxText)
	if err := addParagraphs(b, text); err != nil {
		return Content{}, err
	}
	return b.content("", mimeText), nil
}

// addParagraphs appends the paragraphs of text, and what is set out in columns as it stands.
func addParagraphs(b *builder, text string) error {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\f", "\n\n").Replace(text)
	for start := 0; start < len(text); {
		end := start
		for end < len(text) {
			line, _, _ := strings.Cut(text[end:], "\n")
			if strings.TrimSpace(line) == "" {
				break
			}
			end = min(end+len(line)+1, len(text))
		}
		if end == start { // a blank line
			line, _, _ := strings.Cut(text[start:], "\n")
			start += len(line) + 1
			continue
		}
		kind := Paragraph
		if inColumns(text[start:end]) {
			kind = Preformatted
		}
		if err := b.add(Block{Kind: kind}, text[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// inColumns reports whether most lines of a paragraph, and at least two, are
// set out in columns by tabs or wide gaps.
func inColumns(paragraph string) bool {
	lines, set := 0, 0
	for line := range strings.SplitSeq(strings.TrimRight(paragraph, "\n"), "\n") {
		lines++
		line = strings.TrimSpace(line)
		if strings.Contains(line, "\t") || strings.Contains(line, "   ") {
			set++
		}
	}
	return set >= 2 && 2*set > lines
}

// decode turns bytes of any common character set into UTF-8. declared is what
// the file says of itself, or nil; a file that says a single-byte set and is
// valid UTF-8 is believed for its bytes. What is not text is Unsupported.
func decode(data []byte, declared encoding.Encoding) (string, error) {
	if len(data) > maxSource {
		return "", Errorf(TooLarge, "a text file of %d MiB; at most %d MiB are read: split it into parts", len(data)>>20, maxSource>>20)
	}
	wide := utf16Order(data)
	if wide == nil && isBinary(data) {
		return "", Errorf(Unsupported, "it holds binary data, not text")
	}
	_, narrow := declared.(*charmap.Charmap)
	var enc encoding.Encoding
	switch {
	case wide != nil:
		enc = wide
	case utf8.Valid(data) && (declared == nil || narrow):
		return strings.TrimPrefix(string(data), "\uFEFF"), nil
	case declared != nil && (declared != unicode.UTF8 || utf8.Valid(data)):
		enc = declared
	default:
		enc = guess(data)
	}
	text, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return "", Errorf(Corrupt, "its characters cannot be decoded: %v", err)
	}
	return strings.TrimPrefix(string(text), "\uFEFF"), nil
}

// utf16Order returns UTF-16 in the byte order of data, or nil: by its byte
// order mark, or because every other byte of the start is mostly zero.
func utf16Order(data []byte) encoding.Encoding {
	little := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	big := unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return little
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return big
	}
	var zeros [2]int
	sample := data[:min(len(data), 4096)&^1]
	for i, c := range sample {
		if c == 0 {
			zeros[i&1]++
		}
	}
	half := len(sample) / 2
	switch {
	case half < 2:
	case zeros[1] > half*2/5 && zeros[0] <= half/50:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case zeros[0] > half*2/5 && zeros[1] <= half/50:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	return nil
}

// isBinary reports whether more than one byte in fifty is a control character
// that no text holds. Random bytes have one in ten.
func isBinary(data []byte) bool {
	controls := 0
	for _, c := range data {
		if c < ' ' && (c < '\b' || c > '\r') && c != 0x1B || c == 0x7F {
			controls++
		}
	}
	return controls > 1+len(data)/50
}

// guess names the character set of bytes that are not UTF-8 by their
// frequencies, from where the first one stands that is not ASCII.
func guess(data []byte) encoding.Encoding {
	first := max(0, bytes.IndexFunc(data, func(r rune) bool { return r >= utf8.RuneSelf })-1024)
	best, err := chardet.NewTextDetector().DetectBest(data[first:min(first+16<<10, len(data))])
	if err != nil || best.Confidence < 50 {
		return charmap.Windows1252
	}
	enc, err := htmlindex.Get(strings.Replace(best.Charset, "GB-", "gb", 1))
	if err != nil {
		return charmap.Windows1252
	}
	return enc
}
