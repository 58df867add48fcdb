package parse

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// The types of the formats that are read.
const (
	mimePDF      = "application/pdf"
	mimeDOCX     = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	mimeHTML     = "text/html"
	mimeMarkdown = "text/markdown"
	mimeText     = "text/plain"

	mimeOLE = "application/x-ole-storage"
	mimeZip = "application/zip"
)

// A Registry holds a parser for each format.
type Registry struct {
	parsers map[string]Parser // by MIME type
}

// NewRegistry returns the registry of all formats. A new format is one line here.
func NewRegistry(pdf Parser) *Registry {
	return &Registry{parsers: map[string]Parser{
		mimePDF:      pdf,
		mimeDOCX:     parseDOCX,
		mimeHTML:     parseHTML,
		mimeMarkdown: parseMarkdown,
		mimeText:     parseText,
		"image/png":  parseImage,
		"image/jpeg": parseImage,
		"image/webp": parseImage,
		"image/gif":  parseImage,
		"image/bmp":  parseImage,
		"image/tiff": parseImage,
	}}
}

// Parse reads a file of any format. What is wrong with the file is an [*Error].
func (r *Registry) Parse(ctx context.Context, f File, progress Progress) (c Content, err error) {
	defer func() {
		if recover() != nil {
			c, err = Content{}, Errorf(Corrupt, "its content is not what its format says")
		}
	}()
	if len(bytes.TrimSpace(f.Data)) == 0 {
		return Content{}, Errorf(Empty, "it has no content")
	}
	mime := Detect(f.Data, f.Name)
	if isRecording(mime) {
		return Content{MIME: mime, NeedsSpeech: true}, nil
	}
	parser := r.parser(mime)
	if parser == nil {
		return Content{}, refuse(mime, f)
	}
	if c, err = parser(ctx, f, progress); err != nil {
		return Content{}, err
	}
	if c.Text == "" && len(c.NeedsOCR) == 0 && len(c.PagesFailed) == 0 {
		return Content{}, Errorf(Empty, "it holds no text")
	}
	sum := sha256.Sum256(f.Data)
	c.MIME, c.SHA256 = mime, hex.EncodeToString(sum[:])
	return c, nil
}

// parser returns the parser of a type, or of the type it is a kind of: CSV is
// read as plain text until it has a line of its own.
func (r *Registry) parser(mime string) Parser {
	if _, refused := markup[mime]; refused {
		return nil
	}
	if p := r.parsers[mime]; p != nil {
		return p
	}
	for m := mimetype.Lookup(mime); m != nil; m = m.Parent() {
		if p := r.parsers[bare(m.String())]; p != nil {
			return p
		}
	}
	return nil
}

// markup names the formats that are text for a machine, not for a reader, and
// that wait for a parser of their own.
var markup = map[string]string{
	"text/rtf":               "an RTF document",
	"message/rfc822":         "an e-mail",
	"application/mbox":       "a mailbox",
	"image/svg+xml":          "an SVG drawing",
	"application/postscript": "a PostScript file",
}

// others names the formats that users meet and that are not read.
var others = map[string]string{
	mimeZip:                         "a ZIP archive",
	mimeOLE:                         "an old Office document",
	"application/msword":            "an old Word document (.doc): save it as .docx",
	"application/vnd.ms-excel":      "an old Excel workbook (.xls)",
	"application/vnd.ms-powerpoint": "an old PowerPoint presentation (.ppt)",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         "an Excel workbook",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": "a PowerPoint presentation",
	"application/epub+zip":     "an EPUB book",
	"audio/midi":               "music as notes (MIDI), which nobody speaks in",
	"application/octet-stream": "a binary file of an unknown format",
}

// refuse says why a file of a type without a parser is not read.
func refuse(mime string, f File) *Error {
	ext := strings.ToLower(path.Ext(f.Name))
	family, _, _ := strings.Cut(mime, "/")
	switch {
	case isLocked(f.Data, ext):
		return Errorf(Encrypted, "it is protected by a password")
	case mime == "application/octet-stream" && isBinaryName(ext):
		return Errorf(Corrupt, "it is named %s and holds something else", ext)
	}
	for _, names := range []map[string]string{markup, others} {
		if what := names[mime]; what != "" {
			return Errorf(Unsupported, "it is %s", what)
		}
	}
	if family == "image" {
		return Errorf(Unsupported, "it is a picture of type %s, which is not decoded: save it as JPEG or PNG", mime)
	}
	return Errorf(Unsupported, "it is of type %s", mime)
}

// isLocked reports whether a file is an OLE container around an encrypted
// Office document. An old document has its own entries in such a container.
func isLocked(data []byte, ext string) bool {
	if !bytes.HasPrefix(data, []byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")) {
		return false
	}
	has := func(entry string) bool {
		return bytes.Contains(data, []byte(strings.Join(strings.Split(entry, ""), "\x00")))
	}
	return has("EncryptedPackage") || ext == ".docx" && !has("WordDocument")
}

// Detect returns the MIME type of a file, without parameters. Its content
// decides; only between kinds of text does the end of its name.
func Detect(data []byte, name string) string {
	ext := strings.ToLower(path.Ext(name))
	text := utf16Order(data) != nil || !isBinary(data)
	header := bytes.Index(data[:min(len(data), 1024)], []byte("%PDF-"))
	found := bare(mimetype.Detect(data).String())
	switch {
	case header == 0, header > 0 && (ext == ".pdf" || !text):
		return mimePDF
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("PK\x05\x06")):
		return zipType(data, ext, found)
	case IsRecording(data):
		return soundType(found)
	case !text:
		return found
	case isBinaryName(ext):
		return "application/octet-stream"
	case ext == ".mbox":
		return "application/mbox"
	case markup[found] != "":
		return found
	case ext == ".md" || ext == ".markdown":
		return mimeMarkdown
	case ext == ".html" || ext == ".htm" || ext == ".xhtml" || found == mimeHTML || found == "application/xhtml+xml":
		return mimeHTML
	case isBelow(found, mimeText):
		return found
	}
	return mimeText
}

// zipType tells what a ZIP archive is by the names inside it: the library
// looks at the first few only. One that cannot be opened is what it is called.
func zipType(data []byte, ext, found string) string {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		if ext == ".docx" {
			return mimeDOCX
		}
		return found
	}
	for _, f := range z.File {
		if strings.HasPrefix(f.Name, "word/") && strings.HasSuffix(f.Name, ".xml") {
			return mimeDOCX
		}
	}
	if found == mimeDOCX {
		return mimeZip
	}
	return found
}

// isBelow reports whether a type is a kind of another.
func isBelow(mime, ancestor string) bool {
	for m := mimetype.Lookup(mime); m != nil; m = m.Parent() {
		if m.Is(ancestor) {
			return true
		}
	}
	return false
}

// bare cuts the parameters from a MIME type.
func bare(mime string) string {
	mime, _, _ = strings.Cut(mime, ";")
	return mime
}
