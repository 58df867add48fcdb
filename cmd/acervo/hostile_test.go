package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest"
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
	start := time.Now()
	put("bueno.txt", "", "El archivero se llama Olegario Quintanilla.")
	for found := false; !found; {
		var hits struct {
			Hits []struct{ Document foundDocument }
		}
		if err := l.call(t.Context(), "POST", "/api/v1/search", map[string]any{"query": "Quintanilla"}, &hits); err != nil {
			t.Fatal(err)
		}
		found = len(hits.Hits) > 0
		if time.Since(start) > 30*time.Second {
			t.Fatal("the good file was not found within 30 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("the good file was found after %s", time.Since(start).Round(time.Millisecond))
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
