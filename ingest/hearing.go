package ingest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/natefinch/atomic"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A hearing is what has been heard of a recording so far.
type hearing struct {
	parse.Transcript
	HeardS float64 `json:"heard_s"` // how far it has been heard for the first time
	Whole  bool    `json:"whole"`   // to its end
	// Begun is how often the window from BegunS on was begun and neither came to an end nor was stopped: this program
	// ended over it.
	Begun  int     `json:"begun,omitempty"`
	BegunS float64 `json:"begun_s,omitempty"`
}

// asideS is how many seconds are put aside of a recording over whose window this program ends: an engine's window.
const asideS = 600

// putAside gives up the window over which this program has ended too often, and returns what is still to be heard.
func (h *hearing) putAside(parts [][2]float64) [][2]float64 {
	if h.Begun < maxAttempts {
		return parts
	}
	from, to := h.BegunS, h.BegunS+asideS
	h.Begun, h.Unread = 0, joined(append(slices.Clone(h.Unread), clipped(parts, from, to)...))
	if !h.Whole {
		h.HeardS = max(h.HeardS, to)
	}
	return append(clipped(parts, 0, from), clipped(parts, to, math.Inf(1))...)
}

// maxParts bounds the parts that are heard once more: for each the engine decodes the recording from its beginning
// and hears minutes on, so of a file that is broken in many places what lies between them is heard, too.
const maxParts = 20

// missing returns the parts, in seconds from start to end, that are to be heard:
// what comes after a hearing that was broken off, or else what could not be read, once more.
func (h *hearing) missing() [][2]float64 {
	if !h.Whole {
		return [][2]float64{{h.HeardS, math.Inf(1)}}
	}
	parts := h.unbroken(h.Unread)
	for gap := 1.0; len(parts) > maxParts; gap *= 2 {
		parts = bridged(parts, gap)
	}
	for i, p := range parts {
		if p[1] >= h.DurationS { // let the engine find the end by itself
			parts[i][1] = math.Inf(1)
		}
	}
	return parts
}

// unbroken widens parts to the segments that reach into them, which are heard whole again, not twice.
func (h *hearing) unbroken(parts [][2]float64) [][2]float64 {
	parts = slices.Clone(parts)
	for i, p := range parts {
		for _, s := range h.Segments {
			if s.StartS < p[1] && s.EndS > p[0] {
				parts[i] = [2]float64{min(parts[i][0], s.StartS), max(parts[i][1], s.EndS)}
			}
		}
	}
	return joined(parts)
}

// leaveRest gives up what has not been heard.
func (h *hearing) leaveRest() {
	if !h.Whole {
		h.Unread = joined(append(slices.Clone(h.Unread), [2]float64{h.HeardS, max(h.DurationS, h.HeardS+1)}))
		h.Whole = true
	}
}

// with is h with what was heard between two times instead of what it had there.
func (h hearing) with(part parse.Transcript, from, to float64) hearing {
	inside := func(s parse.Segment) bool { return s.StartS >= from && s.StartS < to }
	var segments []parse.Segment
	until := from // what is said in the part, which may end after it
	for _, s := range part.Segments {
		if inside(s) {
			segments, until = append(segments, s), max(until, s.EndS)
		}
	}
	for _, s := range h.Segments {
		if middle := (s.StartS + s.EndS) / 2; !inside(s) && (middle < from || middle >= until) {
			segments = append(segments, s)
		}
	}
	slices.SortStableFunc(segments, func(a, b parse.Segment) int { return cmp.Compare(a.StartS, b.StartS) })
	h.Segments = segments
	unread := append(clipped(h.Unread, 0, from), clipped(h.Unread, to, math.Inf(1))...)
	h.Unread = joined(append(unread, clipped(part.Unread, from, to)...))
	dropped := append(clipped(h.Dropped, 0, from), clipped(h.Dropped, to, math.Inf(1))...)
	h.Dropped = joined(append(dropped, clipped(part.Dropped, from, to)...))
	h.DurationS = max(h.DurationS, part.DurationS)
	if math.IsInf(to, 1) { // who was at the end knows better than who guessed from the beginning
		h.DurationS = cmp.Or(part.DurationS, h.DurationS)
		to = h.DurationS
	}
	h.Language = cmp.Or(h.Language, part.Language)
	h.Engine = cmp.Or(part.Engine, h.Engine)
	if !h.Whole {
		h.HeardS = max(h.HeardS, to)
	}
	return h
}

// clipped returns what of the ranges lies between two times.
func clipped(ranges [][2]float64, from, to float64) [][2]float64 {
	var inside [][2]float64
	for _, r := range ranges {
		if r = [2]float64{max(r[0], from), min(r[1], to)}; r[0] < r[1] {
			inside = append(inside, r)
		}
	}
	return inside
}

// length is how many seconds ranges have, which do not overlap.
func length(ranges [][2]float64) (s float64) {
	for _, r := range ranges {
		s += r[1] - r[0]
	}
	return s
}

// joined sorts ranges, and makes one of those that touch.
func joined(ranges [][2]float64) [][2]float64 { return bridged(ranges, 0) }

// bridged sorts ranges, and makes one of those that are no more than a gap apart.
func bridged(ranges [][2]float64, gap float64) [][2]float64 {
	slices.SortFunc(ranges, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	var all [][2]float64
	for _, r := range ranges {
		if n := len(all); n > 0 && r[0] <= all[n-1][1]+gap {
			all[n-1][1] = max(all[n-1][1], r[1])
			continue
		}
		all = append(all, r)
	}
	return all
}

// hearings is where transcripts are kept, as <id>.json. They may be deleted at
// any time, which costs hearing the recordings again when their chunks are made anew.
func (c *Corpus) hearings() string { return filepath.Join(c.cfg.Data, "cache", "speech") }

func (c *Corpus) hearingFile(id string) string { return filepath.Join(c.hearings(), id+".json") }

// readHearing returns what is kept; of what cannot be read, nothing.
func (c *Corpus) readHearing(id string) hearing {
	var h hearing
	raw, err := os.ReadFile(c.hearingFile(id))
	if err != nil || json.Unmarshal(raw, &h) != nil {
		return hearing{}
	}
	return h
}

func (c *Corpus) writeHearing(id string, h hearing) error {
	raw, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.hearings(), 0o700); err != nil {
		return err
	}
	return atomic.WriteFile(c.hearingFile(id), bytes.NewReader(raw))
}

// pruneHearings deletes the transcripts of documents that the ledger does not know any more.
func (c *Corpus) pruneHearings() error {
	entries, err := os.ReadDir(c.hearings())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if c.ledger.row(strings.TrimSuffix(e.Name(), ".json")) == nil {
			err = errors.Join(err, os.Remove(filepath.Join(c.hearings(), e.Name())))
		}
	}
	return err
}
