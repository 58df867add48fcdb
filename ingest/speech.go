package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A Transcriber writes down what is said in recordings, one at a time.
type Transcriber interface {
	// Transcribe hears the file at path, which is absolute, from a second on. After
	// each window report is told all that was heard from there on, how far that
	// is, and how long the recording is. What is wrong with the file is a
	// [*parse.Error]. When ctx ends, so does the call, after the window in hand at the latest.
	Transcribe(ctx context.Context, path string, fromS float64,
		report func(done parse.Transcript, doneS, totalS float64)) (parse.Transcript, error)
}

// Why a recording is heard no further, besides an error.
var (
	errHeard   = errors.New("what was wanted is heard")
	errDropped = errors.New("the document waits no longer")
	errRest    = errors.New("the machine is to rest")
)

// hear writes down what is said in a recording, and puts it into the index as
// it comes. What is heard is kept, so that a kill costs one window.
func (c *Corpus) hear(ctx context.Context, r row, path string, there stamp, mime string) error {
	r.MIME = mime
	l := listener{corpus: c, id: r.ID, mime: mime, path: path, stamp: there, heard: c.readHearing(r.ID)}
	if c.cfg.Speech == nil {
		return l.recall(ctx, r)
	}
	if !c.queue.engage(r.ID, "speech") {
		return nil
	}
	var err error
	l.file, err = realPath(c.cfg.Docs, path)
	switch {
	case errors.Is(err, errLink) || errors.Is(err, os.ErrNotExist): // the next look at the folder decides
		return c.again(ctx, path)
	case err != nil:
		return c.finish(ctx, c.failed(r, fmt.Errorf("the path of a recording: %w", err)))
	}
	err = l.listen(ctx)
	switch {
	case ctx.Err() != nil || errors.Is(err, errDropped) || errors.Is(err, errTurn):
		return nil //nolint:nilerr // what was interrupted stays queued, what was removed is at its end
	case errors.Is(err, errMoved) || !l.quiet():
		return c.again(ctx, path)
	case l.broken != nil:
		return l.broken
	case err != nil:
		return c.cutShort(ctx, r, &l, err)
	}
	r.ReadBy = readingOfRecording(l.heard.Transcript)
	return c.index(ctx, r, l.content())
}

// recall puts into the index what was heard of a recording while there was an engine.
func (l *listener) recall(ctx context.Context, r row) error {
	c := l.corpus
	if !l.heard.Whole && len(l.heard.Segments) == 0 {
		r.Status, r.Error = Failed, newProblem(parse.EngineMissing, fmt.Sprintf("it is a recording (%s): it has to be transcribed", l.mime))
		return c.finish(ctx, r)
	}
	if !l.heard.Whole {
		l.heard.leaveRest()
		r.lack = newUnread(parse.EngineMissing, l.heard.Unread)
	}
	r.ReadBy = readingOfRecording(l.heard.Transcript)
	return c.index(ctx, r, l.content())
}

// cutShort makes the best of a recording that was not heard to its end. If the
// file is at fault, what was heard is all of it; if the engine is, it goes on
// from there when the engine works again.
func (c *Corpus) cutShort(ctx context.Context, r row, l *listener, err error) error {
	var file *parse.Error
	atFault := errors.As(err, &file) && file.Code != parse.EngineMissing && file.Code != parse.NotReadable
	if !atFault {
		c.cfg.Log.Warn("the speech engine does not work", "err", err)
		c.outages.begin("speech")
		err = parse.Errorf(parse.EngineMissing, "speech recognition cannot run now")
	}
	if len(l.heard.Segments) == 0 || atFault && !slices.Contains([]parse.Code{parse.Corrupt, parse.Timeout, parse.Crashed}, file.Code) {
		return c.finish(ctx, c.failed(r, err))
	}
	l.heard.leaveRest()
	r.ReadBy = readingOfRecording(l.heard.Transcript)
	if atFault {
		l.keep()
	} else {
		r.lack = newUnread(parse.EngineMissing, l.heard.Unread)
		r.lack.retryLater(now(), r.Retries)
	}
	return c.index(ctx, r, l.content())
}

// errLink means that a path, or a directory above it, is a link now, or leads out of the folder.
var errLink = errors.New("it is a link")

// realPath returns the path of a file for a program that is not confined to
// the folder as we are: no link may stand in it.
func realPath(docs, path string) (string, error) {
	root, err := filepath.EvalSymlinks(docs)
	if err != nil {
		return "", err
	}
	full := filepath.Join(root, filepath.FromSlash(path))
	resolved, err := filepath.EvalSymlinks(full)
	if err == nil && (resolved != full || !filepath.IsLocal(filepath.FromSlash(path))) {
		err = errLink
	}
	return full, err
}

// A listener is the work on one recording.
type listener struct {
	corpus     *Corpus
	id, mime   string
	path, file string // below the folder, and in full
	stamp      stamp  // of the file
	heard      hearing
	broken     error // of the index: it stops the corpus

	began   time.Time
	reached float64 // how far it is
	resting sync.WaitGroup
	rested  chan error // while the machine is to rest: told when that is over
}

// quiet reports that the file is where and what it was.
func (l *listener) quiet() bool { return l.corpus.quiet(l.path, l.stamp) }

// listen hears what is missing.
func (l *listener) listen(ctx context.Context) error {
	defer l.resting.Wait()
	l.note(l.heard.HeardS)
	l.began = time.Now()
	for _, part := range l.heard.putAside(l.heard.missing()) {
		l.reached = part[0]
		err := l.listenTo(ctx, l.reached, part[1])
		for errors.Is(err, errRest) {
			if err = <-l.rested; err == nil {
				err = l.listenTo(ctx, l.reached, part[1])
			}
		}
		if err != nil {
			return err
		}
	}
	l.heard.Whole = true
	if l.heard.DurationS > 0 {
		l.heard.Unread = clipped(l.heard.Unread, 0, l.heard.DurationS)
	}
	l.keep()
	return nil
}

// begin notes that the window from a second on is in hand: one over which this program ends is put aside after a
// few times, as a document is. (The engine is another process, whose end this one survives.)
func (l *listener) begin(from float64) {
	if l.heard.BegunS != from {
		l.heard.Begun, l.heard.BegunS = 0, from
	}
	l.heard.Begun++
	l.keep()
	l.corpus.cfg.at("hearing")
}

// cease takes back that a window is in hand.
func (l *listener) cease() {
	l.heard.Begun = max(0, l.heard.Begun-1)
	l.keep()
}

// ceaseKept takes it back in what is kept, beside whoever works with what is heard.
func (l *listener) ceaseKept() {
	h := l.corpus.readHearing(l.id)
	if h.Begun == 0 {
		return
	}
	h.Begun--
	if err := l.corpus.writeHearing(l.id, h); err != nil {
		l.corpus.cfg.Log.Warn("what was heard of a recording cannot be kept", "err", err)
	}
}

// listenTo hears one part. The engine goes on to the end unless it is stopped.
func (l *listener) listenTo(ctx context.Context, from, to float64) error {
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	l.begin(from)
	defer l.cease()
	defer atStop(ctx, l.ceaseKept)()
	before := l.heard
	done, err := l.corpus.cfg.Speech.Transcribe(inner, l.file, from, func(done parse.Transcript, doneS, totalS float64) {
		if inner.Err() != nil { // it is slow to stop
			return
		}
		l.heard = before.with(done, from, min(doneS, to))
		l.heard.DurationS = max(l.heard.DurationS, totalS)
		l.reached = doneS
		err := l.window(inner, doneS)
		if err == nil && doneS < min(to, totalS) {
			err = l.pause(ctx)
		} else if err == nil && doneS >= to {
			err = errHeard
		}
		if err != nil {
			stop(err)
		}
	})
	switch cause := context.Cause(inner); {
	case errors.Is(cause, errHeard):
		return nil
	case cause != nil:
		return cause
	case err != nil:
		return err
	}
	l.heard = before.with(done, from, to)
	l.heard.Begun = 0
	return nil
}

// askTime is how long it is waited for word that the machine need not rest.
const askTime = 50 * time.Millisecond

// pause says why the engine is to stop here, if it is: it goes on beside us while we wait.
func (l *listener) pause(ctx context.Context) error {
	if time.Since(l.began) > l.corpus.turn && l.corpus.queue.pass(l.id) {
		return errTurn
	}
	l.rested = make(chan error, 1)
	l.resting.Go(func() { l.rested <- l.corpus.rest(ctx) })
	select {
	case err := <-l.rested:
		return err
	case <-time.After(askTime):
		return errRest
	}
}

// window keeps what has been heard, and makes it findable.
func (l *listener) window(ctx context.Context, doneS float64) error {
	l.corpus.runs(ctx, "speech")
	l.heard.Begun, l.heard.BegunS = 1, doneS // the engine goes on with the next
	l.keep()
	l.corpus.cfg.at("heard")
	if !l.quiet() {
		return errMoved
	}
	l.note(doneS)
	err := l.corpus.preview(ctx, l.id, l.content())
	var bug *panicError
	switch {
	case errors.As(err, &bug): // it comes again when the whole is indexed, and is dealt with there
		return nil
	case err != nil && !errors.Is(err, errDropped) && ctx.Err() == nil:
		l.broken = err
	}
	return err
}

// preview puts the chunks of what is known of a document into the index while the work on it goes on,
// and into its row what it takes to show them: who finds a page wants to see it.
func (c *Corpus) preview(ctx context.Context, id string, content parse.Content) error {
	c.change.Lock()
	defer c.change.Unlock()
	r := c.ledger.row(id)
	if r == nil || r.Status != Queued || len(r.Paths) == 0 {
		return errDropped
	}
	if content.Text == "" {
		return nil
	}
	found, err := c.replace(ctx, *r, content)
	if err != nil {
		return err
	}
	ch := c.ledger.begin()
	shown := ch.row(id)
	shown.OwnTitle, shown.MIME, shown.Pages, shown.DurationS = found.OwnTitle, found.MIME, found.Pages, found.DurationS
	if shown.OwnTitle == r.OwnTitle && shown.MIME == r.MIME && shown.Pages == r.Pages && shown.DurationS == r.DurationS {
		return nil
	}
	ch.put(shown)
	return ch.commit()
}

func (l *listener) note(doneS float64) {
	total := l.heard.DurationS
	l.corpus.note(l.id, "speech", &Progress{Done: int(min(doneS, total)), Total: int(math.Ceil(total)), Unit: "s"})
}

// keep writes down what has been heard, unless the file was written over: then
// that is of another content. One that is gone was moved with its content.
// Without it the work is only longer.
func (l *listener) keep() {
	if _, err := os.Lstat(l.file); err == nil && !l.quiet() {
		return
	}
	if err := l.corpus.writeHearing(l.id, l.heard); err != nil {
		l.corpus.cfg.Log.Warn("what was heard of a recording cannot be kept", "err", err)
	}
}

// content is the text of what has been heard.
func (l *listener) content() parse.Content {
	content := parse.FromTranscript(l.heard.Transcript)
	content.MIME = l.mime
	switch {
	case len(content.Unread) > 0:
		content.Warnings = append(content.Warnings, "the recording could not be read at "+timeList(content.Unread))
	case content.Text == "":
		content.Warnings = append(content.Warnings, "no speech was heard in the recording")
	}
	if s := length(l.heard.Dropped); s >= 1 {
		content.Warnings = append(content.Warnings, fmt.Sprintf("%.0f s of the recording were left out as not being speech", s))
	}
	return content
}
