// Package parse turns a file into text whose places are known: page and box,
// heading, time, or characters.
//
// It runs in a worker process (see package worker), never in the server:
// documents are hostile, and no recover stops an endless loop or a stack
// overflow. A parser is a function from bytes to [Content]; the [Registry]
// chooses one by content, and by name only between text formats.
package parse

import (
	"context"
	"fmt"
)

// Version is part of what an index is made with: raise it when a parser reads
// the same file differently, and every document is read anew.
const Version = 2

// A Kind says what a block of text is, for the chunker.
type Kind string

// The kinds of block. A table or preformatted text is kept whole where it fits.
const (
	Paragraph    Kind = "paragraph"
	Heading      Kind = "heading"
	Item         Kind = "item" // of a list
	Table        Kind = "table"
	Preformatted Kind = "code"
)

// Content is the text of a file and where each piece of it stands.
type Content struct {
	// Title is the document's own title, or empty. It never comes from the
	// file's name, so a rename changes nothing that is embedded.
	Title string `json:"title,omitempty"`
	MIME  string `json:"mime"`
	// Text is the whole extracted text: UTF-8, NFC, blocks separated by
	// blank lines (those of a recording by a space, within a paragraph), no
	// control characters but \n and \t.
	Text string `json:"text"`
	// Blocks are in reading order and do not overlap; between two of them
	// stands only white space.
	Blocks []Block `json:"blocks"`
	// Pages is how many pages the file has, 0 where its format has none.
	Pages int `json:"pages,omitempty"`
	// NeedsOCR are the pages (from 1) that show something and hold no usable text.
	NeedsOCR []int `json:"needs_ocr,omitempty"`
	// PagesFailed are the pages (from 1) that could not be read.
	PagesFailed []int `json:"pages_failed,omitempty"`
	// DurationS is how long a recording is, in seconds; 0 for what is none.
	DurationS float64 `json:"duration_s,omitempty"`
	// NeedsSpeech says that it is a recording, whose text has to be transcribed. It has no text yet, and no hash:
	// a film is not read for its type.
	NeedsSpeech bool `json:"needs_speech,omitempty"`
	// Unread are the parts of a recording, in seconds from start to end, that could not be read.
	Unread [][2]float64 `json:"unread,omitempty"`
	// Language is the one it says, or was heard, to be in; empty where that is told by its words alone.
	Language string `json:"language,omitempty"`
	// Warnings are for the user, in English, e.g. "17 hidden characters removed".
	Warnings []string `json:"warnings,omitempty"`
	// SHA256 is that of the bytes that were parsed, in lower-case hex.
	SHA256 string `json:"sha256,omitempty"`
}

// A Block is a run of text that shares a place: Text[Start:End] in bytes.
type Block struct {
	Start int  `json:"start"`
	End   int  `json:"end"`
	Kind  Kind `json:"kind"`
	// Under is the path of headings the block stands under, outermost first.
	// A heading's own path ends with itself.
	Under []string `json:"under,omitempty"`
	Page  int      `json:"page,omitempty"` // from 1; 0 where there are no pages
	Lines []Line   `json:"lines,omitempty"`
	// StartS and EndS are when it is said, in seconds; EndS is 0 for what is not of a recording.
	StartS float64 `json:"start_s,omitempty"`
	EndS   float64 `json:"end_s,omitempty"`
	// Engine is what recognised the text on a picture or in speech, and Confidence, 0–1, how sure it is of it. Text
	// that the file itself holds has none.
	Engine     string  `json:"engine,omitempty"`
	Confidence float64 `json:"confidence,omitempty"`
}

// A Line is where one line of a page stands: Text[Start:End] of the content,
// and its box (x0, y0, x1, y1) normalised to 0–1 from the page's top left.
type Line struct {
	Start int        `json:"start"`
	End   int        `json:"end"`
	Box   [4]float64 `json:"box"`
}

// A Code is the stable word for why a file could not be read.
type Code string

// The codes of CONTRACT.md. The worker adds Timeout and Crashed itself.
const (
	Encrypted   Code = "encrypted"
	Corrupt     Code = "corrupt"
	Empty       Code = "empty"
	Unsupported Code = "unsupported"
	TooLarge    Code = "too_large"
	Bomb        Code = "bomb"
	Timeout     Code = "timeout"
	Crashed     Code = "crashed"
	NeedsOCR    Code = "needs_ocr"
	// EngineMissing and NotReadable concern the machine, not the file's content.
	EngineMissing Code = "engine_missing"
	NotReadable   Code = "not_readable"
)

// An Error is a reason, fit for a user, why a file could not be read.
type Error struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty"` // in English, lower case, no path of this machine
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Detail
}

// Errorf returns an [Error] with a detail.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Progress tells how far a parser has come; unit is "page".
type Progress func(done, total int, unit string)

// A File is what a parser is given.
type File struct {
	Name string // base name, for choosing between text formats
	Data []byte
}

// A Parser reads one format. It may panic: the registry recovers.
type Parser func(ctx context.Context, f File, progress Progress) (Content, error)
