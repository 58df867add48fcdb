package sidecar

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeHub serves one repository as the Hugging Face Hub does: a tree, and content that is led on to another host.
type fakeHub struct {
	t        *testing.T
	files    map[string]string
	lfs      map[string]bool
	sums     map[string]string // stated in place of the right ones
	status   int               // of every answer, if it is not 0
	breaks   int               // connections to the content that break halfway
	noRanges bool
	hangs    bool // halfway in the content

	hub, cdn *httptest.Server
	ranges   []string // asked for at the content's host
	gotToken bool     // which that host must not see
}

const fakeRepo, fakeCommit = "Systran/faster-whisper-small", "536b0662742c02347bc0e980a01041f333bce120"

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	f := &fakeHub{
		t: t, lfs: map[string]bool{"model.bin": true}, sums: map[string]string{},
		files: map[string]string{"model.bin": strings.Repeat("weights ", 100_000), "config.json": "{}", "tokenizer.json": `{"version":"1.0"}`, "README.md": "# no"},
	}
	f.hub = httptest.NewServer(http.HandlerFunc(f.serveHub))
	f.cdn = httptest.NewServer(http.HandlerFunc(f.serveContent))
	t.Cleanup(f.hub.Close)
	t.Cleanup(f.cdn.Close)
	return f
}

func (f *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	if f.status != 0 {
		http.Error(w, `{"error":"as told"}`, f.status)
		return
	}
	if r.URL.Path == "/api/models/"+fakeRepo+"/tree/"+fakeCommit {
		_, _ = io.WriteString(w, f.tree())
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/"+fakeRepo+"/resolve/"+fakeCommit+"/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	// localhost is another host than 127.0.0.1.
	cdn, _ := url.Parse(f.cdn.URL)
	http.Redirect(w, r, fmt.Sprintf("http://localhost:%s/%s?Signature=secret", cdn.Port(), name), http.StatusFound)
}

// tree is what the hub lists, in the shape of its API.
func (f *fakeHub) tree() string {
	entries := []string{`{"type":"directory","oid":"7e48","size":0,"path":"images"}`}
	for name, content := range f.files {
		blob := fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)))
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
		if stated, ok := f.sums[name]; ok {
			blob, sum = stated, stated
		}
		lfs := ""
		if f.lfs[name] {
			lfs = fmt.Sprintf(`,"lfs":{"oid":%q,"size":%d,"pointerSize":134},"xetHash":"ab"`, sum, len(content))
		}
		entries = append(entries, fmt.Sprintf(`{"type":"file","oid":%q,"size":%d,"path":%q%s}`, blob, len(content), name, lfs))
	}
	return "[" + strings.Join(entries, ",") + "]"
}

func (f *fakeHub) serveContent(w http.ResponseWriter, r *http.Request) {
	f.gotToken = f.gotToken || r.Header.Get("Authorization") != ""
	name := strings.TrimPrefix(r.URL.Path, "/")
	content := f.files[name]
	if name == "model.bin" {
		f.ranges = append(f.ranges, r.Header.Get("Range"))
		if f.noRanges {
			r.Header.Del("Range")
		}
		if f.breaks > 0 {
			f.breaks--
			w = &breaking{ResponseWriter: w, left: len(content) / 4}
		}
		if f.hangs {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = io.WriteString(w, content[:len(content)/2])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
}

// breaking ends the connection after so many bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) >= b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

// fetch fetches into dir and returns the last progress.
func (f *fakeHub) fetch(dir string) (done, total int64, err error) {
	m, _ := Whisper("small")
	m.sums = nil
	h := Hub{URL: f.hub.URL, Token: "secret", pause: time.Microsecond}
	err = h.Fetch(f.t.Context(), m, dir, func(d, t int64) {
		if d < done && !f.noRanges {
			f.t.Errorf("progress goes back from %d to %d", done, d)
		}
		done, total = d, t
	})
	return done, total, err
}

func (f *fakeHub) wantWhole(dir string) {
	f.t.Helper()
	for _, name := range whisperFiles {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != f.files[name] {
			f.t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
		f.t.Errorf("left over: %v", left)
	}
}

func TestFetch(t *testing.T) {
	f, dir := newFakeHub(t), filepath.Join(t.TempDir(), "whisper-small")
	done, total, err := f.fetch(dir)
	if want := int64(len(f.files["model.bin"]) + 2 + 17); err != nil || done != want || total != want {
		t.Errorf("%d of %d bytes, want %d, %v", done, total, want, err)
	}
	f.wantWhole(dir)
	if f.gotToken {
		t.Error("the token was sent to another host")
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err == nil {
		t.Error("a file came that nobody needs")
	}
}

func TestFetchGoesOn(t *testing.T) {
	f, dir := newFakeHub(t), t.TempDir()
	f.breaks = 2
	if _, _, err := f.fetch(dir); err != nil {
		t.Fatal(err)
	}
	f.wantWhole(dir)
	size := len(f.files["model.bin"])
	if want := []string{"", fmt.Sprintf("bytes=%d-", size/4), fmt.Sprintf("bytes=%d-", size/2)}; fmt.Sprint(f.ranges) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", f.ranges, want)
	}
}

func TestFetchGoesOnInAnotherRun(t *testing.T) {
	f, dir := newFakeHub(t), t.TempDir()
	half := f.files["model.bin"][:1000]
	if err := os.WriteFile(filepath.Join(dir, "model.bin.part"), []byte(half), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.fetch(dir); err != nil {
		t.Fatal(err)
	}
	f.wantWhole(dir)
	if fmt.Sprint(f.ranges) != "[bytes=1000-]" {
		t.Errorf("asked for %q", f.ranges)
	}
}

func TestFetchBeginsAnewWhereNoPartIsServed(t *testing.T) {
	f, dir := newFakeHub(t), t.TempDir()
	f.noRanges = true
	if err := os.WriteFile(filepath.Join(dir, "model.bin.part"), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, _ := Whisper("small")
	m.sums = nil
	if err := (Hub{URL: f.hub.URL}).Fetch(t.Context(), m, dir, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	f.wantWhole(dir)
}

func TestFetchKeepsWhatIsThere(t *testing.T) {
	f, dir := newFakeHub(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("by hand"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.fetch(dir); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "config.json")); string(got) != "by hand" {
		t.Errorf("config.json is now %q", got)
	}
}

func TestFetchRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(f *fakeHub)
		says   string
	}{
		{"a wrong sum of the weights", func(f *fakeHub) { f.sums["model.bin"] = strings.Repeat("0", 64) }, "it was removed"},
		{"a wrong sum of a small file", func(f *fakeHub) { f.sums["config.json"] = strings.Repeat("0", 40) }, "it was removed"},
		{"no sum", func(f *fakeHub) { delete(f.lfs, "model.bin") }, "no SHA-256 is stated"},
		{"a file that is not there", func(f *fakeHub) { delete(f.files, "tokenizer.json") }, "has no tokenizer.json"},
		{"nothing there", func(f *fakeHub) { f.status = http.StatusNotFound }, "has no " + fakeRepo},
		{"a gate", func(f *fakeHub) { f.status = http.StatusUnauthorized }, "HF_TOKEN"},
		{"a busy hub", func(f *fakeHub) { f.status = http.StatusServiceUnavailable }, "try again later"},
		{"another server", func(f *fakeHub) { f.status = http.StatusOK }, "as a model hub does"},
		{"no network", func(f *fakeHub) { f.hub.Close() }, "HTTPS_PROXY"},
		{"a connection that always breaks", func(f *fakeHub) { f.breaks, f.noRanges = 1000, true }, "goes on from there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, dir := newFakeHub(t), t.TempDir()
			tt.change(f)
			_, _, err := f.fetch(dir)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want one with %q and no secret", err, tt.says)
			}
			if _, err := os.Stat(filepath.Join(dir, "model.bin")); err == nil {
				t.Error("model.bin is there")
			}
			if m, _ := Whisper("small"); len(m.Lacking(dir)) == 0 {
				t.Error("the model counts as whole")
			}
			for _, name := range []string{"model.bin.part", "config.json.part"} {
				if part, err := os.ReadFile(filepath.Join(dir, name)); err == nil && !bytes.HasPrefix([]byte(f.files[strings.TrimSuffix(name, ".part")]), part) || tt.says == "it was removed" && len(part) > 0 {
					t.Errorf("%s has %d bytes", name, len(part))
				}
			}
		})
	}
}

func TestFetchHoldsTheHubToWhatIsKnown(t *testing.T) {
	f := newFakeHub(t)
	m, _ := Whisper("small")
	err := Hub{URL: f.hub.URL}.Fetch(t.Context(), m, t.TempDir(), func(int64, int64) {})
	if err == nil || !strings.Contains(err.Error(), "another file than the one that is known") {
		t.Errorf("error %v", err)
	}
}

func TestFetchStops(t *testing.T) {
	f, dir := newFakeHub(t), t.TempDir()
	f.hangs = true
	m, _ := Whisper("small")
	m.sums = nil
	ctx, cancel := context.WithCancel(t.Context())
	err := Hub{URL: f.hub.URL}.Fetch(ctx, m, dir, func(done, _ int64) {
		if done > 1000 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "model.bin")); err == nil {
		t.Error("model.bin is there")
	}
}

// A list of files that stops coming is given up.
func TestListStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := Hub{URL: "http://hub", Client: &http.Client{Transport: stalling{}}}
		m, _ := Whisper("small")
		err := hub.Fetch(t.Context(), m, t.TempDir(), func(int64, int64) {})
		if !errors.Is(err, errStalled) || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("error %v", err)
		}
	})
}

// A stalling transport answers, and sends no more than a beginning.
type stalling struct{}

func (stalling) RoundTrip(r *http.Request) (*http.Response, error) {
	body, in := io.Pipe()
	go func() {
		_, _ = io.WriteString(in, "[")
		<-r.Context().Done()
		in.CloseWithError(r.Context().Err())
	}()
	return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
}

func TestModels(t *testing.T) {
	for _, size := range WhisperSizes {
		m, ok := Whisper(size)
		if !ok || m.Name != "whisper-"+size || len(m.Revision) != 40 || m.Bytes == 0 || m.Needs[0] != "model.bin" {
			t.Errorf("%s: %+v", size, m)
		}
	}
	if len(WhisperSizes) != len(whispers) {
		t.Errorf("%d sizes are listed, %d known", len(WhisperSizes), len(whispers))
	}
	if _, ok := Whisper("huge"); ok {
		t.Error("there is a huge one")
	}
}
