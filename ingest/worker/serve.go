package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// Limits of a child: memory that its garbage collector aims at, the depth of
// its stacks, the size of a file.
const (
	memoryLimit = 512 << 20
	stackLimit  = 64 << 20
	maxFile     = 512 << 20
)

// ServeConfig says how to read documents.
type ServeConfig struct {
	CacheDir string // of the compiled PDF engine; none if empty
}

// Serve answers requests from stdin on stdout until stdin ends or ctx does.
// It returns at once then, also in the middle of a document, and the process
// must end with it. What else writes to standard output is sent to stderr.
func Serve(ctx context.Context, cfg ServeConfig, stdin io.Reader, stdout io.Writer) error {
	debug.SetMemoryLimit(memoryLimit)
	debug.SetMaxStack(stackLimit)
	if stdout == io.Writer(os.Stdout) {
		os.Stdout = os.Stderr
	}
	s := &service{out: stdout, warm: make(chan struct{})}
	s.pdf = sync.OnceValues(func() (*parse.PDF, error) {
		defer debug.FreeOSMemory() // compiling takes some 300 MB
		return parse.NewPDF(ctx, parse.PDFConfig{CacheDir: cfg.CacheDir, Refused: s.standby})
	})
	s.registry = parse.NewRegistry(s.parsePDF)
	if err := writeLine(stdout, answer{Ready: true}); err != nil {
		return err
	}
	// The engine warms up beside the first documents, which may need none.
	go func() {
		defer close(s.warm)
		_, _ = s.pdf() // who needs it asks for the error
	}()
	requests := make(chan request)
	ended := make(chan error, 2)
	go func() { ended <- readRequests(ctx, stdin, requests) }()
	go func() { ended <- s.answerAll(ctx, requests) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// readRequests passes on requests until stdin ends. It always reads, so that
// the end of the parent is the end of the child.
func readRequests(ctx context.Context, stdin io.Reader, requests chan<- request) error {
	for decoder := json.NewDecoder(stdin); ; {
		var req request
		if err := decoder.Decode(&req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		select {
		case requests <- req:
		case <-ctx.Done():
			return nil
		}
	}
}

// A service answers requests, one at a time.
type service struct {
	out      io.Writer
	registry *parse.Registry
	pdf      func() (*parse.PDF, error)
	warm     chan struct{} // closed when pdf returns at once
	current  int           // the request in hand
}

func (s *service) answerAll(ctx context.Context, requests <-chan request) error {
	for {
		select {
		case req := <-requests:
			s.current = req.ID
			if err := writeLine(s.out, s.answer(ctx, req)); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *service) answer(ctx context.Context, req request) answer {
	a := answer{ID: req.ID}
	err := s.do(ctx, req, &a)
	if err == nil {
		return a
	}
	var reason *parse.Error
	if !errors.As(err, &reason) {
		fmt.Fprintln(os.Stderr, err)
		reason = parse.Errorf(parse.NotReadable, "the reader has a fault of its own")
	}
	return answer{ID: req.ID, Error: reason}
}

func (s *service) do(ctx context.Context, req request, a *answer) error {
	data, err := readFile(req.Root, req.Path)
	if err != nil {
		return err
	}
	switch req.Op {
	case opParse:
		content, err := s.registry.Parse(ctx, parse.File{Name: path.Base(req.Path), Data: data}, s.progress)
		a.Content = pack(content)
		return err
	case opPage, opScan:
		a.PNG, err = s.draw(ctx, req, data)
		return err
	default:
		return fmt.Errorf("no operation is called %q", req.Op)
	}
}

// draw draws a page of a PDF document or an image, for a reader or for OCR.
func (s *service) draw(ctx context.Context, req request, data []byte) ([]byte, error) {
	if parse.IsImage(parse.File{Name: path.Base(req.Path), Data: data}) {
		if req.Op == opScan {
			return parse.ImageScan(data, req.Page)
		}
		return parse.ImagePage(data, req.Page)
	}
	pdf, err := s.engine()
	if err != nil {
		return nil, err
	}
	if req.Op == opScan {
		return pdf.Scan(ctx, data, req.Page, req.DPI)
	}
	return pdf.Page(ctx, data, req.Page)
}

// progress, standby and engine ignore that nobody may listen: the answer will tell.
func (s *service) progress(done, total int, unit string) {
	_ = writeLine(s.out, answer{ID: s.current, Progress: &progress{Done: done, Total: total, Unit: unit}})
}

func (s *service) standby(reason *parse.Error) {
	_ = writeLine(s.out, answer{ID: s.current, Standby: reason})
}

func (s *service) parsePDF(ctx context.Context, f parse.File, progress parse.Progress) (parse.Content, error) {
	pdf, err := s.engine()
	if err != nil {
		return parse.Content{}, err
	}
	return pdf.Parse(ctx, f, progress)
}

// waitingTime is how often a child says that it waits for its engine.
const waitingTime = time.Second

// engine waits for the PDF engine, which may have to be compiled first.
func (s *service) engine() (*parse.PDF, error) {
	tick := time.NewTicker(waitingTime)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-s.warm:
			waiting = false
		case <-tick.C:
			_ = writeLine(s.out, answer{ID: s.current, Waiting: true})
		}
	}
	pdf, err := s.pdf()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return nil, parse.Errorf(parse.EngineMissing, "the PDF engine does not start")
	}
	return pdf, nil
}

// readFile reads the regular file at path below root, of a recording only the
// beginning. Nothing outside root is opened, whatever links say.
func readFile(root, path string) ([]byte, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, notReadable(err)
	}
	defer func() { _ = dir.Close() }()
	file, err := dir.OpenFile(filepath.FromSlash(path), os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, notReadable(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, notReadable(err)
	case !info.Mode().IsRegular():
		return nil, parse.Errorf(parse.NotReadable, "it is not a regular file")
	}
	head, err := io.ReadAll(io.LimitReader(file, parse.HeadBytes))
	switch {
	case err != nil:
		return nil, notReadable(err)
	case parse.IsRecording(head):
		return head, nil
	case info.Size() > maxFile:
		return nil, parse.Errorf(parse.TooLarge, "it is larger than %d MiB", maxFile>>20)
	}
	// Of the right size at once: a growing buffer would need the memory twice.
	data := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	data.Write(head)
	if _, err := data.ReadFrom(io.LimitReader(file, maxFile+1)); err != nil {
		return nil, notReadable(err)
	}
	if data.Len() > maxFile {
		return nil, parse.Errorf(parse.TooLarge, "it is larger than %d MiB", maxFile>>20)
	}
	return data.Bytes(), nil
}

func notReadable(err error) *parse.Error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return parse.Errorf(parse.NotReadable, "permission denied")
	case errors.Is(err, fs.ErrNotExist):
		return parse.Errorf(parse.NotReadable, "it is no longer there")
	default:
		fmt.Fprintln(os.Stderr, err)
		return parse.Errorf(parse.NotReadable, "it cannot be opened, or is a link")
	}
}
