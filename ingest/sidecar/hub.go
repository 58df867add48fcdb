package sidecar

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Hub is the Hugging Face Hub, or a mirror of it. Its zero value is the hub itself.
type Hub struct {
	URL    string       // default https://huggingface.co
	Token  string       // of an account; "" is none
	Client *http.Client // nil is one that uses the user's proxies
	pause  time.Duration
}

const (
	hubURL    = "https://huggingface.co"
	hubTries  = 5           // in a row that bring nothing
	hubPause  = time.Second // after the first of them, doubled each time
	hubStall  = time.Minute // without a byte, then the connection is given up
	hubAnswer = 30 * time.Second
)

// A hubFile is an entry of a repository as the hub's tree lists it.
type hubFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"` // of the content, also where that is kept as LFS
	OID  string `json:"oid"`  // of git's blob; for LFS that of the pointer
	LFS  *struct {
		OID string `json:"oid"` // SHA-256 of the content
	} `json:"lfs"`
}

// Fetch puts the files of a model into dir, those that are not there yet. Progress
// is given the bytes that are there, and those that there will be.
//
// Each file is first called NAME.part, from which a broken download goes on, be it in
// another run. It gets its name when its size and its SHA-256 are those that the
// hub states for the commit, and the ones known beforehand; else it is removed. The
// weights come last: where they are, the rest is.
func (h Hub) Fetch(ctx context.Context, m Model, dir string, progress func(done, total int64)) error {
	files, err := h.list(ctx, m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var done, total int64
	todo := files[:0:0]
	for _, f := range files {
		total += f.Size
		if len(lacking(dir, []string{f.Path})) == 0 {
			done += f.Size
			continue
		}
		todo = append(todo, f)
	}
	for _, f := range todo {
		d := &download{hub: h, file: f, url: h.url(m.Repo, "resolve", m.Revision, f.Path), part: filepath.Join(dir, f.Path+".part")}
		d.progress = func(have int64) { progress(done+have, total) }
		if err := d.run(ctx); err != nil {
			return err
		}
		if err := os.Rename(d.part, filepath.Join(dir, f.Path)); err != nil {
			return err
		}
		done += f.Size
	}
	return nil
}

func (h Hub) base() string { return strings.TrimRight(cmp.Or(h.URL, hubURL), "/") }

func (h Hub) url(parts ...string) string { return h.base() + "/" + strings.Join(parts, "/") }

func (h Hub) client() *http.Client {
	if h.Client != nil {
		return h.Client
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // which uses the user's proxies
	transport.ResponseHeaderTimeout = hubAnswer
	return &http.Client{Transport: transport}
}

// list asks the hub for the model's files, the weights last, and checks what it says of them.
func (h Hub) list(ctx context.Context, m Model) ([]hubFile, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, hubStall, errStalled) // it is a small answer
	defer cancel()
	response, err := h.get(ctx, h.url("api/models", m.Repo, "tree", m.Revision), 0)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := h.refused(response, m.Repo); err != nil {
		return nil, err
	}
	var tree []hubFile
	if err := json.NewDecoder(io.LimitReader(response.Body, 8<<20)).Decode(&tree); err != nil {
		if ctx.Err() != nil {
			return nil, h.unreachable(context.Cause(ctx))
		}
		return nil, fmt.Errorf("%s does not answer as a model hub does: %w", h.base(), err)
	}
	var files []hubFile
	for _, name := range append(slices.Clone(m.Needs), m.Takes...) {
		i := slices.IndexFunc(tree, func(f hubFile) bool { return f.Path == name })
		switch {
		case i >= 0:
			files = append(files, tree[i])
		case slices.Contains(m.Needs, name):
			return nil, fmt.Errorf("%s at %s has no %s", m.Repo, h.base(), name)
		}
	}
	slices.Reverse(files)
	for _, f := range files {
		if err := f.check(m); err != nil {
			return nil, fmt.Errorf("%s at %s: %w", m.Repo, h.base(), err)
		}
	}
	return files, nil
}

// check makes sure that there is something to hold the file's content against.
func (f hubFile) check(m Model) error {
	switch known := m.sums[f.Path]; {
	case f.LFS == nil && (f.Path == m.Needs[0] || known != ""):
		return fmt.Errorf("no SHA-256 is stated for %s, so it is not fetched", f.Path)
	case f.LFS != nil && known != "" && f.LFS.OID != known:
		return fmt.Errorf("%s is another file than the one that is known: its SHA-256 is %.16s…, not %.16s…", f.Path, f.LFS.OID, known)
	}
	return nil
}

// sum begins the sum that the hub states of the content, and returns what it must come to.
func (f hubFile) sum() (hash.Hash, string) {
	if f.LFS != nil {
		return sha256.New(), f.LFS.OID
	}
	h := sha1.New() // git's, of small files; the commit is one over all of them
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return h, f.OID
}

func (h Hub) get(ctx context.Context, address string, from int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, permanent{fmt.Errorf("HF_ENDPOINT: %w", err)}
	}
	if h.Token != "" {
		request.Header.Set("Authorization", "Bearer "+h.Token) // which is not passed on to another host
	}
	if from > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	response, err := h.client().Do(request)
	if err != nil {
		return nil, h.unreachable(err)
	}
	return response, nil
}

func (h Hub) unreachable(err error) error {
	var network *url.Error
	if errors.As(err, &network) {
		err = network.Err // without the address, which may hold a signature
	}
	return fmt.Errorf("the model hub at %s cannot be reached: check the network, or name a proxy in HTTPS_PROXY or a mirror in HF_ENDPOINT, then run this again (%w)", h.base(), err)
}

// A permanent error is not mended by trying again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// refused is the error of an answer that is none.
func (h Hub) refused(response *http.Response, what string) error {
	switch response.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return permanent{fmt.Errorf("%s gives %s only to accounts that were granted it: put a token of yours into HF_TOKEN, then run this again", h.base(), what)}
	case http.StatusNotFound, http.StatusGone:
		return permanent{fmt.Errorf("%s has no %s (any more)", h.base(), what)}
	default:
		return fmt.Errorf("the model hub at %s answers %s for %s: try again later", h.base(), response.Status, what)
	}
}

// A download is one file on its way.
type download struct {
	hub      Hub
	file     hubFile
	url      string
	part     string
	progress func(have int64)
}

// run downloads the file, and goes on after a broken connection for as long as that brings something.
func (d *download) run(ctx context.Context) error {
	pause := cmp.Or(d.hub.pause, hubPause)
	for fruitless := 0; ; {
		before := d.have()
		err := d.attempt(ctx, before)
		if err == nil {
			return d.verify()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.have() > before {
			fruitless = 0
		}
		fruitless++
		if final := (permanent{}); errors.As(err, &final) || fruitless == hubTries {
			return err
		}
		select {
		case <-time.After(pause << (fruitless - 1)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// have is how many bytes are there.
func (d *download) have() int64 {
	at, err := os.Stat(d.part)
	if err != nil {
		return 0
	}
	return at.Size()
}

// attempt fetches the bytes after those that are there.
func (d *download) attempt(ctx context.Context, from int64) error {
	if from >= d.file.Size && d.file.Size > 0 {
		return nil // verify says whether it is the right one
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(hubStall, func() { cancel(errStalled) })
	defer stall.Stop()
	response, err := d.hub.get(ctx, d.url, from)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := d.hub.refused(response, d.file.Path); err != nil {
		return err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	switch {
	case response.StatusCode == http.StatusOK: // all of it
		flags, from = flags|os.O_TRUNC, 0
	case !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)):
		return fmt.Errorf("the model hub at %s sends another part of %s than the one asked for", d.hub.base(), d.file.Path)
	}
	file, err := os.OpenFile(d.part, flags, 0o600)
	if err != nil {
		return permanent{err}
	}
	have, err := d.copy(file, response.Body, from, func() { stall.Reset(hubStall) })
	if closed := file.Close(); closed != nil {
		return permanent{closed}
	}
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	if full := (permanent{}); err == nil || errors.As(err, &full) {
		return err
	}
	return fmt.Errorf("the connection to the model hub broke after %d of %d bytes of %s; run this again, it goes on from there (%w)", have, d.file.Size, d.file.Path, err)
}

var errStalled = fmt.Errorf("no byte came for %s", hubStall)

// copy writes what comes, but no more than one byte over the size, which is enough to know that it is wrong. It returns how much there is then.
func (d *download) copy(to io.Writer, from io.Reader, have int64, moved func()) (int64, error) {
	from = io.LimitReader(from, d.file.Size-have+1)
	buffer := make([]byte, 256<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			moved()
			if _, err := to.Write(buffer[:n]); err != nil {
				return have, permanent{err}
			}
			have += int64(n)
			d.progress(have)
		}
		switch {
		case errors.Is(err, io.EOF) && have >= d.file.Size:
			return have, nil
		case errors.Is(err, io.EOF):
			return have, io.ErrUnexpectedEOF
		case err != nil:
			return have, err
		}
	}
}

// verify holds the file against what was stated of it. What is wrong is removed.
func (d *download) verify() error {
	sum, want := d.file.sum()
	file, err := os.Open(d.part)
	if err != nil {
		return err
	}
	size, err := io.Copy(sum, file)
	file.Close()
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); size != d.file.Size || got != want {
		return errors.Join(fmt.Errorf("what came as %s is not the file that the hub states (%d bytes, sum %.16s…, not %d, %.16s…); it was removed", d.file.Path, size, got, d.file.Size, want), os.Remove(d.part))
	}
	return nil
}
