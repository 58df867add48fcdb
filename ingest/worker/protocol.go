package worker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// The operations of a request.
const (
	opParse = "parse"
	opPage  = "page"
	opScan  = "scan"
)

// A request is a line to a child.
type request struct {
	ID   int    `json:"id"`
	Op   string `json:"op"`
	Root string `json:"root"` // absolute
	Path string `json:"path"` // below root, slash-separated
	Page int    `json:"page,omitempty"`
	DPI  int    `json:"dpi,omitempty"` // of a scan
}

// An answer is a line from a child: Ready once, then for each request any
// number with Waiting, Progress or Standby, and one with Content, PNG or Error.
type answer struct {
	ID       int          `json:"id"`
	Ready    bool         `json:"ready,omitempty"`
	Progress *progress    `json:"progress,omitempty"`
	Content  *content     `json:"content,omitempty"`
	PNG      []byte       `json:"png,omitempty"`
	Error    *parse.Error `json:"error,omitempty"`
	// Waiting means that its engine is not there yet, which is no fault of the document.
	Waiting bool `json:"waiting,omitempty"`
	// Standby is the error that stands if the child dies or hangs from here
	// on: it is about to try something risky that could do better.
	Standby *parse.Error `json:"standby,omitempty"`
}

type progress struct {
	Done  int    `json:"done"`
	Total int    `json:"total"`
	Unit  string `json:"unit"`
}

// A content is a [parse.Content] whose blocks say of the headings they stand
// under only what the block before did not: a long path above many short blocks
// would make a small file a line that buries the parent.
type content struct {
	parse.Content
	Blocks []block `json:"blocks"` // those of Content are empty
}

// A block stands under the first Kept headings of the block before, and then
// those of its Under.
type block struct {
	parse.Block
	Kept int `json:"kept,omitempty"`
}

func pack(c parse.Content) *content {
	packed := &content{Content: c, Blocks: make([]block, len(c.Blocks))}
	packed.Content.Blocks = nil
	var path []string
	for i, b := range c.Blocks {
		kept := 0
		for kept < min(len(path), len(b.Under)) && path[kept] == b.Under[kept] {
			kept++
		}
		path = b.Under
		b.Under = path[kept:]
		packed.Blocks[i] = block{Block: b, Kept: kept}
	}
	return packed
}

// maxPath bounds the headings above a block; no parser makes as many.
const maxPath = 100

// unpack makes c.Content whole. Blocks under the same headings share their path.
func (c *content) unpack() error {
	c.Content.Blocks = make([]parse.Block, len(c.Blocks))
	var path []string
	for i, b := range c.Blocks {
		if b.Kept < 0 || b.Kept > len(path) {
			return fmt.Errorf("block %d keeps %d of %d headings", i, b.Kept, len(path))
		}
		if b.Kept+len(b.Under) > maxPath {
			return fmt.Errorf("block %d stands under %d headings", i, b.Kept+len(b.Under))
		}
		if b.Kept < len(path) || len(b.Under) > 0 {
			path = slices.Concat(path[:b.Kept], b.Under)
		}
		b.Under = path
		c.Content.Blocks[i] = b.Block
	}
	c.Blocks = nil
	return nil
}

// maxLine bounds a line from a child, in bytes.
const maxLine = 512 << 20

var errLong = errors.New("it says more than a document can hold")

// readAnswer reads one line. A child is free to lie, and not to bury its parent.
func readAnswer(r *bufio.Reader) (answer, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return answer{}, errLong
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return answer{}, err
		}
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return answer{}, fmt.Errorf("not a line of the protocol: %w", err)
	}
	return a, nil
}

func writeLine(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // it would make six bytes of each < of a document
	return encoder.Encode(v)
}

var codes = []parse.Code{
	parse.Encrypted, parse.Corrupt, parse.Empty, parse.Unsupported, parse.TooLarge,
	parse.Bomb, parse.NeedsOCR, parse.EngineMissing, parse.NotReadable,
}

// check refuses a final answer that is none to the operation.
func (a answer) check(op string) error {
	switch {
	case a.Error != nil:
		if !slices.Contains(codes, a.Error.Code) {
			return errors.New("an error of an unknown code")
		}
		return nil
	case op == opParse && a.Content != nil:
		if err := a.Content.unpack(); err != nil {
			return err
		}
		return checkContent(&a.Content.Content)
	case (op == opPage || op == opScan) && bytes.HasPrefix(a.PNG, []byte("\x89PNG\r\n\x1a\n")):
		return nil
	default:
		return errors.New("no answer to the request")
	}
}

// maxPages bounds the pages that a document may claim.
const maxPages = 1 << 20

// checkContent refuses content whose places are not in its text. JSON has made
// its strings valid UTF-8 already.
func checkContent(c *parse.Content) error {
	if c.Pages < 0 || c.Pages > maxPages {
		return fmt.Errorf("%d pages", c.Pages)
	}
	for _, n := range slices.Concat(c.NeedsOCR, c.PagesFailed) {
		if n < 1 || n > c.Pages {
			return fmt.Errorf("page %d of %d", n, c.Pages)
		}
	}
	if err := checkTimes(c); err != nil {
		return err
	}
	end := 0
	for i, b := range c.Blocks {
		if b.Page < 0 || b.Page > c.Pages || b.Start < end || b.End <= b.Start || !isCut(c.Text, b.Start, b.End) {
			return fmt.Errorf("block %d at %d–%d of %d bytes, on page %d", i, b.Start, b.End, len(c.Text), b.Page)
		}
		if strings.TrimSpace(c.Text[end:b.Start]) != "" {
			return fmt.Errorf("text before block %d", i)
		}
		end = b.End
		if err := checkLines(c.Text, b); err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
	}
	if strings.TrimSpace(c.Text[end:]) != "" {
		return errors.New("text after the last block")
	}
	return nil
}

// checkTimes refuses times that are in no recording.
func checkTimes(c *parse.Content) error {
	if c.DurationS < 0 || c.NeedsSpeech && (c.Text != "" || len(c.Blocks) > 0) {
		return fmt.Errorf("a recording of %g seconds with %d bytes of text", c.DurationS, len(c.Text))
	}
	for _, u := range c.Unread {
		if u[0] < 0 || u[1] < u[0] {
			return fmt.Errorf("unread from %g to %g", u[0], u[1])
		}
	}
	for i, b := range c.Blocks {
		if b.StartS < 0 || b.EndS < b.StartS {
			return fmt.Errorf("block %d from %g to %g", i, b.StartS, b.EndS)
		}
	}
	return nil
}

func checkLines(text string, b parse.Block) error {
	end := b.Start
	for _, l := range b.Lines {
		if l.Start < end || l.End <= l.Start || l.End > b.End || !isCut(text, l.Start, l.End) {
			return fmt.Errorf("a line at %d–%d", l.Start, l.End)
		}
		end = l.End
		for _, v := range l.Box {
			if v < 0 || v > 1 {
				return fmt.Errorf("box %v", l.Box)
			}
		}
		if l.Box[0] > l.Box[2] || l.Box[1] > l.Box[3] {
			return fmt.Errorf("box %v", l.Box)
		}
	}
	return nil
}

// isCut reports whether start and end stand between characters of text.
func isCut(text string, start, end int) bool {
	return end <= len(text) && utf8.RuneStart(text[start]) && (end == len(text) || utf8.RuneStart(text[end]))
}
