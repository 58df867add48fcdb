package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// zipped is an archive that holds one member.
func zipped(t *testing.T, name string, write func(add func([]byte))) string {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	member, err := archive.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	write(func(b []byte) {
		if _, err := member.Write(b); err != nil {
			t.Fatal(err)
		}
	})
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// endlessPDF is a page of letters as wide as the page, which is 1400 km wide: pdfium marks each of them, point by
// point, on a mask of the page, in one call that takes the better part of an hour and that nothing interrupts.
func endlessPDF(comment string) string {
	letters := strings.Repeat("BT /F1 100000000 Tf (M) Tj ET\n", 20_000)
	return "%PDF-1.4\n% " + comment + "\n" +
		"1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n" +
		"2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj\n" +
		"3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 100000000 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>> endobj\n" +
		fmt.Sprintf("4 0 obj <</Length %d>> stream\n%sendstream endobj\n", len(letters), letters) +
		"5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj\ntrailer <</Root 1 0 R>>\n"
}

// deadlyPDF kills a reader: pdfium refuses it, as it has no catalog, and the second engine has no memory for the
// objects that it says to have, which is no error in Go but the end of the process.
func deadlyPDF() string {
	head := "%PDF-1.5\n% " + strings.Repeat("x", 100) + "\n"
	return fmt.Sprintf("%s1 0 obj\n<</Type/XRef/Size 1000000000000/W[1 2 1]/Length 4>>\nstream\nxxxx\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", head, len(head))
}

// readers are the worker processes that this one has for a library.
func (l *library) readers(t *testing.T) (all []*process.Process) {
	t.Helper()
	self, err := process.NewProcessWithContext(t.Context(), int32(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	children, err := self.ChildrenWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range children {
		if line, err := child.CmdlineWithContext(t.Context()); err == nil && strings.Contains(line, l.data) {
			all = append(all, child)
		}
	}
	return all
}

// working waits until a document is being read.
func (l *library) working(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		docs, err := l.documents(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			if slices.Contains(d.Paths, path) && d.Status == ingest.Working {
				return
			}
		}
	}
	t.Fatalf("%s is not being read after 30 s", path)
}

// found waits until a search finds a word.
func (l *library) found(t *testing.T, word string) {
	t.Helper()
	start := time.Now()
	for time.Since(start) < 30*time.Second {
		var hits struct {
			Hits []struct{ Document foundDocument }
		}
		if err := l.call(t.Context(), "POST", "/api/v1/search", map[string]any{"query": word}, &hits); err != nil {
			t.Fatal(err)
		}
		if len(hits.Hits) > 0 {
			t.Logf("%s was found after %s", word, time.Since(start).Round(time.Millisecond))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s was not found within 30 s", word)
}

// Real files that keep a reader for ever, and that kill it, fail with their reason, hold up nobody and leave no process.
func TestReaderHangsAndDies(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the limit of a reader, which is 45 s")
	}
	t.Parallel()
	l := serveLibrary(t, emptyPlace(t), noEngine...)
	l.write(t, "cuelga.pdf", endlessPDF("uno"))
	l.working(t, "cuelga.pdf")
	l.write(t, "mata.pdf", deadlyPDF())
	l.write(t, "bueno.txt", "El archivero se llama Olegario Quintanilla.")
	l.found(t, "Quintanilla")
	docs := l.settle(t, 3, false)
	for path, code := range map[string]parse.Code{"cuelga.pdf": parse.Timeout, "mata.pdf": parse.Corrupt} {
		if d := docs[path]; d.Error == nil || d.Error.Code != code {
			t.Errorf("%s is %s %+v, want %s", path, d.Status, d.Error, code)
		}
	}
	l.write(t, "cuelga otra vez.pdf", endlessPDF("dos"))
	l.working(t, "cuelga otra vez.pdf")
	for end := time.Now().Add(10 * time.Second); len(l.readers(t)) == 0; time.Sleep(20 * time.Millisecond) { // the one that hung is replaced
		if time.Now().After(end) {
			t.Fatal("no reader is seen where one reads")
		}
	}
	start := time.Now()
	l.stop()
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if left := l.readers(t); len(left) > 0 {
		t.Errorf("readers are left: %v", left)
	}
}

// Each hostile file fails with its reason, or is read, and holds up nobody: the good file among them is found within seconds.
func TestHostileFilesHoldNobodyUp(t *testing.T) {
	if testing.Short() {
		t.Skip("writes and reads a quarter of a gigabyte")
	}
	l := serveLibrary(t, emptyPlace(t), noEngine...)
	bomb := zipped(t, "word/document.xml", func(add func([]byte)) {
		add([]byte(`<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>`))
		for range 300 {
			add(bytes.Repeat([]byte{' '}, 1<<20))
		}
		add([]byte(`</w:t></w:r></w:p></w:body></w:document>`))
	})
	want := map[string]string{} // path -> code, or "" for ready
	put := func(name, code, content string) {
		want[name] = code
		l.write(t, name, content)
	}
	put("bomba.docx", "bomb", bomb)
	put("roto.docx", "corrupt", "PK\x03\x04 and then nothing that is a zip")
	put("risas.docx", "corrupt", zipped(t, "word/document.xml", func(add func([]byte)) {
		add([]byte(`<!DOCTYPE x [<!ENTITY a "ja"><!ENTITY b "&a;&a;">]><x>&b;</x>`))
	}))
	put("vacio.txt", "empty", "")
	put("vacio.pdf", "empty", "")
	put("azar.pdf", "corrupt", "%PDF-1.7\n"+strings.Repeat("\x00\xff\x13 obj <<", 2000))
	put("linea.txt", "", strings.Repeat("palabra", 5<<20/7))
	put("enorme.txt", "too_large", strings.Repeat("El río baja lleno.\n", 200<<20/20))
	for file, code := range map[string]string{"contrato-con-clave.pdf": "encrypted", "bomb_giant.pdf": "bomb", "hostil-anidado.html": ""} {
		if data := os.Getenv("ACERVO_TEST_DATA"); data != "" {
			raw, err := os.ReadFile(filepath.Join(data, "files", file))
			if err != nil {
				t.Fatal(err)
			}
			put(file, code, string(raw))
		}
	}
	put("bueno.txt", "", "El archivero se llama Olegario Quintanilla.")
	l.found(t, "Quintanilla")
	for path, d := range l.settle(t, len(want)-1, false) { // the two empty ones are one content
		switch code, ok := want[path]; {
		case !ok:
			t.Errorf("%s is unexpected", path)
		case code == "" && d.Status != ingest.Ready:
			t.Errorf("%s is %s %+v, want ready", path, d.Status, d.Error)
		case code != "" && (d.Error == nil || string(d.Error.Code) != code || d.Error.Message == ""):
			t.Errorf("%s is %s %+v, want %s with a reason", path, d.Status, d.Error, code)
		}
	}
}
