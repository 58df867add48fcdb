package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/gofrs/flock"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// What `acervo setup` can be asked for. Without an argument it is all but Surya.
const (
	partOCR    = "ocr"
	partSpeech = "speech"
	partModels = "models"
	partSurya  = "surya"
)

// A setup is one run of the command.
type setup struct {
	cfg         Config
	in          *bufio.Reader
	out, err    io.Writer
	interactive bool // somebody can be asked
	yes         bool // consent was given beforehand
	surya       bool // and to Surya's licence
	dryRun      bool
	json        bool
}

func setupCommand(o *overrides) *cobra.Command {
	var s setup
	cmd := &cobra.Command{
		Use:   "setup [ocr|speech|models|surya]",
		Short: "Install what the plan needs: models, and the engines for scans and recordings",
		Long: "Shows what is missing, where it comes from, how large it is and under which licence, asks, and fetches it:\n\n" +
			"  ocr      RapidOCR, for scanned pages\n" +
			"  speech   faster-whisper and its model, for recordings\n" +
			"  models   the models of Ollama, and that of faster-whisper\n" +
			"  surya    the model of Surya 2, a better OCR; only when it is asked for, as its licence has limits\n\n" +
			"Without an argument it is all but Surya. Nothing is fetched by any other command. It can be run again at any time:\n" +
			"what is there stays, and what was broken off goes on.",
		Example: "  acervo setup\n  acervo setup speech --yes",
		Args:    takes(0, 1, "one of ocr, speech, models and surya, or nothing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			parts, err := setupParts(args)
			if err != nil {
				return err
			}
			if s.cfg, _, err = loadConfig(*o); err != nil {
				return err
			}
			in := cmd.InOrStdin()
			s.in, s.out, s.err = bufio.NewReader(in), cmd.OutOrStdout(), cmd.ErrOrStderr()
			s.interactive = in == os.Stdin && term.IsTerminal(int(os.Stdin.Fd()))
			return s.run(cmd.Context(), parts)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&s.surya, "accept-surya-license", false, "accept the licence of Surya's model")
	flags.BoolVar(&s.dryRun, "dry-run", false, "show what would be done, and end")
	flags.BoolVar(&s.json, "json", false, "print JSON")
	return cmd
}

func setupParts(args []string) ([]string, error) {
	if len(args) == 0 {
		return []string{partModels, partOCR, partSpeech}, nil
	}
	switch args[0] {
	case partOCR, partSpeech, partModels, partSurya:
		return args, nil
	}
	return nil, usagef("setup takes one of ocr, speech, models and surya, or nothing; %q is none of them", args[0])
}

// run shows the steps, asks, and takes them.
func (s *setup) run(ctx context.Context, parts []string) error {
	if err := os.MkdirAll(s.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("the data directory cannot be made: %w", err)
	}
	steps := s.steps(ctx, parts)
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.json {
		if err := showSteps(s.out, steps); err != nil {
			return err
		}
	}
	if s.dryRun || !anyIn(steps, stateTodo) {
		return s.end(steps)
	}
	if err := s.agree(steps); err != nil {
		return err
	}
	unlock, err := lockSetup(s.cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	for i := range steps {
		if steps[i].State != stateTodo {
			continue
		}
		if err := s.take(ctx, &steps[i]); err != nil {
			return err
		}
	}
	if n := wake(ctx, s.cfg.Data); n > 0 {
		s.tell("\nThe running server reads again what waited for this: %d documents.\n", n)
	}
	return s.end(steps)
}

// wake has a server that runs on the data try again what waited for an engine; it would do so by itself, but later. It
// returns how many documents that are.
func wake(ctx context.Context, data string) int {
	h := readHolder(data)
	if h.URL == "" {
		return 0
	}
	c := &client{http: &http.Client{Timeout: 5 * time.Second}, base: h.URL}
	docs, err := c.documents(ctx, nil)
	if err != nil {
		return 0 // it is ending, or its URL is of one that was killed
	}
	n := 0
	for _, d := range docs {
		if d.Error == nil || d.Error.Code != "engine_missing" && d.Error.Code != "needs_ocr" {
			continue
		}
		if c.call(ctx, http.MethodPost, "/api/v1/documents/"+d.ID+"/retry", struct{}{}, nil) == nil {
			n++
		}
	}
	return n
}

// lockSetup keeps a second set-up off the data directory. A server may run on it.
func lockSetup(data string) (unlock func(), err error) {
	lock := flock.New(filepath.Join(data, "setup.lock"))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the data directory cannot be locked: %w", err)
	}
	if !ok {
		return nil, errors.New("another `acervo setup` is at work on this data directory; run it again when that one has ended")
	}
	return func() { _ = lock.Unlock() }, nil
}

// showSteps prints what there is, and what is to be fetched.
func showSteps(out io.Writer, steps []step) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHAT\tFROM\tSIZE\tLICENCE\tSTATE")
	for _, st := range steps {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", st.Name, st.From, sizeOf(st.Bytes), st.License, st.State)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, st := range steps {
		if st.Message != "" {
			fmt.Fprintf(out, "\n%s: %s\n", st.Name, st.Message)
		}
	}
	return nil
}

func sizeOf(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return humanize.Bytes(uint64(bytes))
}

// spare is what must stay free on the disk, and what an environment takes beyond its download.
const spare = 2 << 30

// agree asks for consent to what is to be done, once there is room for it.
func (s *setup) agree(steps []step) error {
	var bytes int64
	for _, st := range steps {
		if st.State == stateTodo && !st.elsewhere {
			bytes += st.Bytes
		}
	}
	if usage, err := disk.Usage(s.cfg.Data); err == nil && usage.Free < uint64(bytes)+spare {
		return fmt.Errorf("there is too little room on the disk of %s: %s are free, and %s are needed; make room, or move the data directory with --data",
			s.cfg.Data, humanize.Bytes(usage.Free), humanize.Bytes(uint64(bytes)+spare))
	}
	for _, st := range steps {
		if st.State != stateTodo || st.terms == "" {
			continue
		}
		if err := s.accept(st); err != nil {
			return err
		}
	}
	if s.yes {
		return nil
	}
	if !s.interactive {
		return errors.New("nobody can be asked here, so nothing was fetched: run it in a terminal, or with --yes")
	}
	return s.ask("\nFetch what is to do?")
}

// accept asks for consent to a licence that has limits.
func (s *setup) accept(st step) error {
	if s.surya {
		return nil
	}
	fmt.Fprintf(s.err, "\n%s\n\n", st.terms)
	if !s.interactive {
		return errors.New("the licence of Surya's model has limits, so nothing was fetched: read it, then run this again with --accept-surya-license")
	}
	return s.ask("Do you accept this licence?")
}

// errDeclined ends a set-up that was not wanted.
var errDeclined = errors.New("nothing was fetched")

func (s *setup) ask(question string) error {
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	answer, err := s.in.ReadString('\n')
	if err != nil && answer == "" {
		fmt.Fprintln(s.err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "s", "si", "sí":
		return nil
	}
	return errDeclined
}

// take takes one step. Its error is that the whole was stopped; that the step failed is in its state, and the rest goes on.
func (s *setup) take(ctx context.Context, st *step) error {
	bar := newStepBar(s.err, st)
	err := st.do(ctx, bar)
	bar.end()
	if err == nil {
		st.State = stateDone
		s.tell("%s: done%s\n", st.Name, st.after)
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", st.Name, ctx.Err())
	}
	st.State, st.Message = stateFailed, err.Error()
	s.tell("%s: %s\n", st.Name, st.Message)
	return nil
}

func (s *setup) tell(format string, args ...any) {
	if !s.json {
		fmt.Fprintf(s.out, format, args...)
	}
}

// end says how it went.
func (s *setup) end(steps []step) error {
	if s.json {
		if err := printJSON(s.out, map[string]any{"steps": steps}); err != nil {
			return err
		}
	}
	switch {
	case s.dryRun:
		return nil
	case anyIn(steps, stateFailed), anyIn(steps, stateBlocked):
		s.tell("\nNot all of it is there yet; run this again when the above is mended.\n")
		return errSaid
	case anyIn(steps, stateDone):
		s.tell("\nAll of it is there; `acervo doctor` tries it.\n")
	default:
		s.tell("\nNothing is to be done; `acervo doctor` tries what is there.\n")
	}
	return nil
}
