package sidecar

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	protocolVersion = 1
	maxLine         = 8 << 20 // bytes, in either direction; the images themselves go by file
)

// A message is what a worker says in a line. Type tells which of the fields count.
type message struct {
	Type string `json:"t"`
	ID   string `json:"id"` // of the request that it belongs to

	hello

	Kind  string          `json:"kind"` // of an event, whose value is Value
	Value json.RawMessage `json:"v"`

	OK  json.RawMessage `json:"ok"` // of a result: one of these two
	Err *refusal        `json:"err"`

	RSSMB int `json:"rss_mb"` // of a pong
}

// A hello is a worker's first line.
type hello struct {
	Protocol int               `json:"proto"`
	Worker   string            `json:"worker"`
	Version  string            `json:"ver"`
	Python   string            `json:"python"`
	Caps     capabilities      `json:"caps"`
	Libs     map[string]string `json:"libs"`    // package and version
	Missing  []string          `json:"missing"` // packages that it cannot work without
}

type capabilities struct {
	Tasks   []string `json:"tasks"`
	Devices []string `json:"devices"`
}

// A refusal is a worker's answer to a request that it could not serve.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"msg"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// The codes of refusals that something is decided on.
const (
	codeBadInput     = "bad_input"
	codeNoSound      = "no_sound"
	codeTooLarge     = "too_large"
	codeCancelled    = "cancelled"
	codeModelMissing = "model_missing"
	codeInternal     = "internal" // a library failed
	codeNoRAM        = "oom_ram"
	codeNoVRAM       = "oom_gpu"
)

// spent reports whether the worker may fail at everything from now on, as one does whose card was lost in the
// machine's sleep, and the next process not: it is ended, which counts as a death. After any other refusal it goes on.
func (r *refusal) spent() bool {
	return r.Code == codeInternal || r.Code == codeNoRAM || r.Code == codeNoVRAM
}

// anotherMay reports whether the next process may do what this one failed at.
func anotherMay(err error) bool {
	var died *diedError
	var refused *refusal
	return errors.As(err, &died) || errors.As(err, &refused) && refused.spent()
}

// The kinds of a speech worker's events.
const (
	eventWindow  = "window"  // it begins to hear a part of the recording
	eventSegment = "segment" // what was said in it
	eventDropped = "dropped" // what the model invented
	eventDone    = "done"    // the part is finished

	eventFallback = "fallback" // it computes on another device from now on
)

// types are what a worker may say.
var types = []string{"hello", "event", "progress", "res", "pong"}

// A request is what a worker is told. A zero field is left out.
type request struct {
	Type   string `json:"t"` // req, cancel, ping, bye
	ID     string `json:"id,omitempty"`
	Method string `json:"m,omitempty"`
	Params any    `json:"p,omitempty"`
	N      int    `json:"n,omitempty"`
}

// readMessage reads a line. Whatever is not one of the protocol's is an error,
// after which nothing more can be believed.
func readMessage(r *bufio.Reader) (message, error) {
	line, err := readLine(r)
	if err != nil {
		return message{}, err
	}
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("it speaks no JSON: %.80q", line)
	}
	switch {
	case !slices.Contains(types, m.Type):
		return message{}, fmt.Errorf("it says what is not in the protocol: %.80q", line)
	case m.Type == "res" && (m.Err == nil) == (m.OK == nil):
		return message{}, errors.New("its result is neither a success nor an error")
	}
	return m, nil
}

// readLine reads up to the next end of line, which must be there.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, errors.New("it says a line of more than 8 MiB")
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// writeRequest writes a line.
func writeRequest(w io.Writer, req request) error {
	line, err := json.Marshal(req)
	if err != nil {
		return err
	}
	if len(line) > maxLine {
		return errors.New("the request is too long")
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
