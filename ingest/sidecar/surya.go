package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/ingest/subprocess"
)

// A surya reads pages with Surya 2, a model of language and vision, in a llama-server.
type surya struct{ worker *worker }

// newSurya returns an engine that takes the memory of the given lease.
func newSurya(cfg Config, memory *lease, bounds limits) *surya {
	return &surya{worker: newWorker(workerConfig{
		name: "surya", limits: bounds, lease: memory, log: cfg.log(),
		command: func() ([]string, error) {
			binary, err := findLlama(cfg.LlamaServer, cfg.SuryaModel)
			return []string{binary}, err
		},
		launch: func(ctx context.Context, command []string, p hwplan.Placement) (process, loaded, error) {
			l, err := startLlama(ctx, subprocess.Config{Command: command, Name: "surya", Scratch: cfg.Scratch}, cfg.SuryaModel, p, bounds)
			if err != nil {
				return nil, loaded{}, err
			}
			return l, loaded{Engine: strings.TrimSpace("surya-2 llama.cpp " + l.version(ctx)), Device: deviceName(p)}, nil
		},
	})}
}

// lookUp finds a program: the file that is set, or llama-server in PATH.
func lookUp(server string) (string, error) {
	if server == "" {
		server = "llama-server"
	}
	path, err := exec.LookPath(server)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil { // it is started in a directory of its own
		return "", err
	}
	return filepath.EvalSymlinks(path) // its libraries lie beside the file itself
}

func deviceName(p hwplan.Placement) string {
	if p.Device == hwplan.OnGPU {
		return "gpu"
	}
	return "cpu"
}

// SuryaInstalled reports whether Surya 2 can be run: its model and llama-server are there.
func SuryaInstalled(cfg Config) bool {
	_, err := findLlama(cfg.LlamaServer, cfg.SuryaModel)
	return err == nil
}

// recognize reads an image. Where the model is caught in a loop it is asked again, to choose its words more freely;
// the memory may be given back between two such attempts.
func (s *surya) recognize(ctx context.Context, image []byte, _ string) (parse.ScannedPage, error) {
	page, err := decodePage(image)
	if err != nil {
		return parse.ScannedPage{}, err
	}
	for _, how := range samplings {
		reply, engine, err := s.ask(ctx, page, how)
		if err != nil {
			return parse.ScannedPage{}, suryaOutcome(err)
		}
		if reply.Loops {
			continue
		}
		read, err := reply.page(page)
		read.Engine = engine.name()
		return read, err
	}
	return parse.ScannedPage{}, parse.Errorf(parse.Crashed, "Surya goes round in circles on this page")
}

// ask has the page read once. A page over which the server dies is given to a second one, not to a third.
func (s *surya) ask(ctx context.Context, page *pagePicture, how sampling) (suryaReply, loaded, error) {
	do := job{call: call{params: suryaRequest{page: page, sampling: how}}}
	ok, engine, err := s.worker.do(ctx, do)
	var died *diedError
	if errors.As(err, &died) && !outOfMemory(died.why) {
		ok, engine, err = s.worker.do(ctx, do)
	}
	var reply suryaReply
	if err == nil {
		err = json.Unmarshal(ok, &reply)
	}
	return reply, engine, err
}

// suryaOutcome is outcome, but that the memory was short is not the page's fault.
func suryaOutcome(err error) error {
	var died *diedError
	if errors.As(err, &died) && outOfMemory(died.why) {
		return fmt.Errorf("%w: %s", ErrUnavailable, died.Error())
	}
	return outcome(err)
}

// page judges an answer. None at all, of a page with something on it, is a failure: the page would be lost in silence.
func (r suryaReply) page(on *pagePicture) (parse.ScannedPage, error) {
	if r.Cut {
		return parse.ScannedPage{}, parse.Errorf(parse.Crashed, "Surya did not come to the end of this page")
	}
	answer := parseSurya(r.Text)
	switch {
	case answer.labelled == 0 && strings.TrimSpace(r.Text) != "":
		return parse.ScannedPage{}, parse.Errorf(parse.Crashed, "Surya answered with something else than the page: %.60q", r.Text)
	case len(answer.blocks) == 0 && answer.pictures == 0 && on.hasInk():
		return parse.ScannedPage{}, parse.Errorf(parse.Crashed, "Surya found nothing on this page, though it is not blank")
	}
	return answer.page(r.Confidence), nil
}
