package ingest

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// chunkerVersion is part of a source's revision: raise it when chunks of the
// same content come out differently, and every document is cut anew.
const chunkerVersion = 4

// ChunkConfig says how large chunks are, in tokens.
type ChunkConfig struct {
	Size    int // of a chunk as it is indexed, title and headings included: never more
	Overlap int // about how much of the chunk before is repeated where a section is cut
}

// Validate reports a value out of range, by the name of its key.
func (c ChunkConfig) Validate() error {
	if c.Size < 512 || c.Size > 1024 {
		return fmt.Errorf("chunk.size is %d; it must be between 512 and 1024 tokens", c.Size)
	}
	if c.Overlap < 50 || c.Overlap > 100 {
		return fmt.Errorf("chunk.overlap is %d; it must be between 50 and 100 tokens", c.Overlap)
	}
	return nil
}

// chunks cuts a document by its structure: pages and silences first, then
// sections, then blocks, sentences, words. Every chunk is an exact piece of c.Text, and all of
// them together are all of it but white space.
//
// Where there are several equally good places for a cut, a hash of what follows
// decides, not the distance from the last cut: so an edit moves the cuts near
// it and no others, and what is not near it need not be embedded again.
//
// count must be linear; it sees every byte about three times.
func chunks(docID string, c parse.Content, cfg ChunkConfig, count func(string) int) []retrieval.Chunk {
	k := chunker{docID: docID, title: clip(c.Title), text: c.Text, blocks: wholeBlocks(c), cfg: cfg, count: count}
	if k.count(k.title) > cfg.Size/8 {
		k.title = ""
	}
	k.prefix = count(retrieval.Chunk{Title: k.title}.Indexed())
	for from := 0; from < len(k.blocks); {
		to := from + 1
		for to < len(k.blocks) && !apart(k.blocks[to-1], k.blocks[to]) {
			to++
		}
		k.cut(k.units(from, to))
		from = to
	}
	language := cmp.Or(languageOf(k.done), c.Language)
	for i := range k.done {
		if k.done[i].Language == "" {
			k.done[i].Language = language
		}
	}
	return k.done
}

// silenceS is how long nobody speaks, in seconds, between what is cut apart: who
// plays a citation should not have to sit through it.
const silenceS = 15

// apart reports whether two blocks are never in one chunk: those of two pages, and
// what is said before and after a long silence.
func apart(a, b parse.Block) bool {
	return a.Page != b.Page || b.EndS > 0 && b.StartS-a.EndS >= silenceS
}

// languageAt returns the language of a chunk, by its beginning: some hundred
// words tell as much as all of them.
func languageAt(text string) string {
	const sample = 600 // bytes
	if len(text) > sample {
		text = strings.ToValidUTF8(text[:sample], "")
	}
	return retrieval.DetectLanguage(text)
}

// languageOf returns the language that most of a document is in, or "".
func languageOf(all []retrieval.Chunk) string {
	tokens, most := map[string]int{}, ""
	for _, x := range all {
		if x.Language == "" {
			continue
		}
		tokens[x.Language] += x.Tokens
		if tokens[x.Language] > tokens[most] {
			most = x.Language
		}
	}
	return most
}

// wholeBlocks returns the blocks of c in order, without what lies outside the
// text, and with a paragraph for any text that no block holds: a parser's
// mistake must not lose text.
func wholeBlocks(c parse.Content) []parse.Block {
	whole := make([]parse.Block, 0, len(c.Blocks)+1)
	end, page := 0, 0
	fill := func(to int) {
		if strings.TrimSpace(c.Text[end:to]) != "" {
			whole = append(whole, parse.Block{Start: end, End: to, Kind: parse.Paragraph, Page: page})
		}
	}
	for _, b := range c.Blocks {
		if b.Start < end || b.End > len(c.Text) || b.Start >= b.End {
			continue
		}
		fill(b.Start)
		end, page = b.End, b.Page
		if strings.TrimSpace(c.Text[b.Start:b.End]) != "" {
			whole = append(whole, b)
		}
	}
	fill(len(c.Text))
	return whole
}

// A rank says how good a place for a cut is; higher is better.
type rank int

const (
	afterHeading     rank = iota // would leave a heading behind without its text
	withinWord                   // in a run without spaces
	betweenWords                 // in a sentence too long to keep
	betweenSentences             // or lines of a table
	betweenItems                 // of one list
	betweenBlocks
	beforeHeading
)

// A unit is text that is never cut: a sentence, a line or a whole table, or a
// piece of one that is too long.
type unit struct {
	start, end int // in the text, without white space around it
	block      int
	before     int // tokens of the page before it
	tokens     int
	rank       rank // of a cut before it
}

type chunker struct {
	docID, title, text string
	blocks             []parse.Block
	cfg                ChunkConfig
	count              func(string) int

	done         []retrieval.Chunk
	start, runes int // of the last chunk, in bytes and in code points

	measured, path []string // headings last measured, and what is kept of them
	prefix         int      // tokens of the title and path
}

// units returns the units of the blocks from..to, and behind them an empty one that marks the end.
func (k *chunker) units(from, to int) []unit {
	var all []unit
	glued := 0 // tokens of the headings just before the block
	for i := from; i < to; i++ {
		b := k.blocks[i]
		first := len(all)
		all = k.appendBlock(all, i, glued)
		all[first].rank = k.rankBefore(i, from)
		if b.Kind != parse.Heading {
			glued = 0
			continue
		}
		for _, u := range all[first:] {
			glued += u.tokens
		}
	}
	before := 0
	for i := range all {
		all[i].before = before
		before += all[i].tokens
	}
	return append(all, unit{before: before, rank: beforeHeading})
}

// rankBefore says how good a cut before block i is, on a page whose first block is from.
func (k *chunker) rankBefore(i, from int) rank {
	if i == from {
		return beforeHeading
	}
	kind, previous := k.blocks[i].Kind, k.blocks[i-1].Kind
	switch {
	case k.blocks[i].EndS > 0:
		return rankOfSilence(k.text[:k.blocks[i-1].End], k.text[k.blocks[i-1].End:k.blocks[i].Start])
	case previous == parse.Heading:
		return afterHeading
	case kind == parse.Heading:
		return beforeHeading
	case kind == parse.Item && previous == parse.Item:
		return betweenItems
	}
	return betweenBlocks
}

// appendBlock adds the units of block i: a table or preformatted text is one if
// it fits in a chunk together with its headings, which take glued tokens.
func (k *chunker) appendBlock(all []unit, i, glued int) []unit {
	b := k.blocks[i]
	text := k.text[b.Start:b.End]
	if b.EndS > 0 { // what is said in one breath has one time
		if whole := k.appendUnits(all, i, b.Start, b.End, 2*k.cfg.Overlap); len(whole) == len(all)+1 {
			return whole
		}
	}
	if b.Kind != parse.Table && b.Kind != parse.Preformatted {
		for _, r := range sentences(text) {
			all = k.appendUnits(all, i, b.Start+r[0], b.Start+r[1], 2*k.cfg.Overlap)
		}
		return all
	}
	room := k.cfg.Size - k.prefixOf(b.Under) - glued
	if whole := k.appendUnits(all, i, b.Start, b.End, room); len(whole) == len(all)+1 {
		return whole
	}
	start := b.Start
	for line := range strings.Lines(text) {
		all = k.appendUnits(all, i, start, start+len(line), 2*k.cfg.Overlap)
		start += len(line)
	}
	return all
}

// pieceBytes is the length of the pieces of what is too long to be a unit. A
// token is at least one byte, so a piece is never too long.
const pieceBytes = 64

// appendUnits adds a unit of at most limit tokens, or what it must be cut into.
func (k *chunker) appendUnits(all []unit, block, start, end, limit int) []unit {
	start, end = trim(k.text, start, end)
	if start == end {
		return all
	}
	text := k.text[start:end]
	if len(text) <= 8*limit {
		if n := max(1, k.count(text)); n <= limit {
			return append(all, unit{start: start, end: end, block: block, tokens: n, rank: betweenSentences})
		}
	}
	r := betweenSentences
	for start < end {
		stop, next := piece(k.text[:end], start)
		all = append(all, unit{start: start, end: stop, block: block, tokens: max(1, k.count(k.text[start:stop])), rank: r})
		r = betweenWords
		if stop == next {
			r = withinWord
		}
		start = next
	}
	return all
}

// piece returns where the piece of s that begins at start ends, and where the
// next begins: behind the last space in reach, or else between two characters.
func piece(s string, start int) (stop, next int) {
	if len(s)-start <= pieceBytes {
		return len(s), len(s)
	}
	stop = start + pieceBytes
	if i := strings.LastIndexFunc(s[start:stop], unicode.IsSpace); i > 0 {
		stop = start + len(strings.TrimRightFunc(s[start:start+i], unicode.IsSpace))
		return stop, skipSpace(s, start+i)
	}
	for !utf8.RuneStart(s[stop]) && stop > start+pieceBytes-utf8.UTFMax {
		stop--
	}
	for at := stop; at > start+pieceBytes/2; at-- {
		if utf8.RuneStart(s[at]) && !continues(s[:at], s[at:]) {
			return at, at
		}
	}
	return stop, stop
}

// continues reports whether after goes on with the character, as readers see it, that before ends with.
func continues(before, after string) bool {
	const joiner = '\u200d'
	last, _ := utf8.DecodeLastRuneInString(before)
	r, _ := utf8.DecodeRuneInString(after)
	return last == joiner || unicode.In(r, unicode.M, unicode.Cf, unicode.Sk)
}

func trim(s string, start, end int) (int, int) {
	start += len(s[start:end]) - len(strings.TrimLeftFunc(s[start:end], unicode.IsSpace))
	return start, start + len(strings.TrimRightFunc(s[start:end], unicode.IsSpace))
}

// cut makes chunks of the units of one page.
func (k *chunker) cut(units []unit) {
	previous := 0
	for i := 0; i < len(units)-1; {
		from := k.overlap(units, previous, i)
		limit := k.cfg.Size - k.prefixOf(k.blocks[units[from].block].Under)
		room := limit - tokens(units, from, i)
		if units[i].tokens > room {
			from, room = i, limit
		}
		to := k.next(units, i, room)
		n := k.count(k.text[units[from].start:units[to-1].end])
		for n > limit && (from < i || to > i+1) {
			if to > i+1 {
				room -= max(n-limit, room/8)
				to = min(to-1, k.next(units, i, room))
			} else {
				from = i
			}
			n = k.count(k.text[units[from].start:units[to-1].end])
		}
		k.add(units[from], units[to-1], n)
		previous, i = i, to
	}
}

// tokens returns about how many tokens the units i..j have.
func tokens(units []unit, i, j int) int { return units[j].before - units[i].before }

// next returns where the chunk that begins with unit i is to end, so that it has at most room tokens.
func (k *chunker) next(units []unit, i, room int) int {
	last, reach := len(units)-1, i+1
	for reach < last && tokens(units, i, reach+1) <= room {
		reach++
	}
	if j := k.beforeSection(units, i, reach, room); j > 0 {
		return j
	}
	if reach == last {
		return last
	}
	high := room // leaves no small rest of the section behind
	for j := reach + 1; j <= last && tokens(units, i, j) <= room+room/4; j++ {
		if units[j].rank == beforeHeading {
			high = tokens(units, i, j) - room/4
			break
		}
	}
	for _, want := range []struct {
		low  int
		rank rank
	}{{room / 2, betweenSentences}, {room / 4, betweenSentences}, {room / 2, withinWord}} {
		best := 0
		for j := i + 1; j <= reach; j++ {
			if t := tokens(units, i, j); t < want.low || t > high || units[j].rank < want.rank {
				continue
			}
			if best == 0 || k.better(units[j], units[best]) {
				best = j
			}
		}
		if best > 0 {
			return best
		}
	}
	for j := reach; j > i; j-- {
		if units[j].rank > afterHeading {
			return j
		}
	}
	return reach
}

// beforeSection returns the heading before which to cut, or 0: sections are
// kept apart, but small ones go together until they are a quarter of a chunk;
// an eighth, if the next section does not fit.
func (k *chunker) beforeSection(units []unit, i, reach, room int) int {
	last := len(units) - 1
	best, early, high := 0, 0, room
	for j := i + 1; j <= reach && tokens(units, j, last) >= room/8; j++ {
		t := tokens(units, i, j)
		switch {
		case units[j].rank != beforeHeading || t < room/8:
		case t < room/4:
			early = j
		case t > high:
			return best
		case best == 0:
			best, high = j, t+room/4
		case k.better(units[j], units[best]):
			best = j
		}
	}
	if best == 0 && reach < last {
		return early
	}
	return best
}

// better reports whether a cut before a, which comes later, is better than one before b.
func (k *chunker) better(a, b unit) bool {
	if a.rank != b.rank {
		return a.rank > b.rank
	}
	if a.rank == beforeHeading {
		if x, y := len(k.blocks[a.block].Under), len(k.blocks[b.block].Under); x != y {
			return x < y
		}
	}
	return k.hash(a) <= k.hash(b)
}

func (k *chunker) hash(u unit) uint32 {
	return crc32.ChecksumIEEE([]byte(k.text[u.start:min(u.end, u.start+pieceBytes)]))
}

// overlap returns the unit from which a chunk that goes on at unit i begins:
// some sentences earlier, or words, where a section was cut. The chunk before began at unit previous.
func (k *chunker) overlap(units []unit, previous, i int) int {
	if units[i].rank == beforeHeading {
		return i
	}
	best, lowest, want := i, 1<<30, k.cfg.Overlap
	for j := i - 1; j > previous && units[j].rank != beforeHeading; j-- {
		t := tokens(units, j, i)
		if t > 2*want {
			break
		}
		cost := max(t-want, want-t)
		if units[j].rank < betweenSentences {
			cost += want
		}
		if cost < lowest {
			best, lowest = j, cost
		}
	}
	return best
}

// add makes a chunk of what is between two units.
func (k *chunker) add(first, last unit, n int) {
	text := k.text[first.start:last.end]
	k.runes += utf8.RuneCountInString(k.text[k.start:first.start])
	k.start = first.start
	blocks := k.blocks[first.block : last.block+1]
	path := k.keep(common(blocks))
	where := retrieval.Location{
		Kind: "chars", Start: k.runes, End: k.runes + utf8.RuneCountInString(text), Heading: strings.Join(path, " > "),
	}
	switch page := blocks[0].Page; {
	case page > 0:
		where = retrieval.Location{Kind: "page", Page: page, Boxes: boxes(blocks, first.start, last.end)}
	case blocks[0].EndS > 0:
		where = retrieval.Location{Kind: "time", StartS: blocks[0].StartS, EndS: endOf(blocks)}
	}
	where.Recognition = recognition(blocks, first.start, last.end)
	k.done = append(k.done, retrieval.Chunk{
		ID: k.docID + "." + strconv.Itoa(len(k.done)), N: len(k.done),
		Text: text, Title: k.title, Heading: path, Tokens: n, Location: where, Language: languageAt(text),
		Lines: lines(blocks, first.start, last.end),
	})
}

// prefixOf returns the tokens of the title and the headings that are indexed with a text.
func (k *chunker) prefixOf(path []string) int {
	k.keep(path)
	return k.prefix
}

// keep returns what is indexed of a path of headings, so that, with the title,
// it takes at most a quarter of a chunk.
func (k *chunker) keep(path []string) []string {
	if slices.Equal(path, k.measured) {
		return k.path
	}
	kept := make([]string, len(path))
	for i, h := range path {
		kept[i] = clip(h)
	}
	for {
		k.prefix = k.count(retrieval.Chunk{Title: k.title, Heading: kept}.Indexed())
		if k.prefix <= k.cfg.Size/4 || len(kept) == 0 {
			break
		}
		kept = kept[:len(kept)-1]
	}
	k.measured, k.path = path, kept
	return kept
}
