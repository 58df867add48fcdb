package parse

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIsRecording(t *testing.T) {
	rest := "\x00\x00\x00\x00" + noise()
	matroska := func(kind string) string {
		return "\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\xF7\x81\x01\x42\xF2\x81\x04\x42\xF3\x81\x08\x42\x82" + string([]byte{0x80 | byte(len(kind))}) + kind + rest
	}
	for _, c := range []struct{ name, data, want string }{
		{"tagged mp3", "ID3\x03\x00\x00\x00\x00\x0f\x76" + rest, "audio/mpeg"},
		{"bare mp3", "\xFF\xFB\x90\x64" + rest, "audio/mpeg"},
		{"aac", "\xFF\xF1\x50\x80" + rest, "audio/aac"},
		{"wav", "RIFF\x00\x10\x00\x00WAVEfmt " + rest, "audio/wav"},
		{"wav of silence", "RIFF\x00\x10\x00\x00WAVEfmt \x10\x00\x00\x00" + strings.Repeat("\x00", 4000), "audio/wav"},
		{"avi", "RIFF\x00\x10\x00\x00AVI LIST" + rest, "video/x-msvideo"},
		{"flac", "fLaC\x00\x00\x00\x22" + rest, "audio/flac"},
		{"ogg", "OggS\x00\x02" + rest, "audio/ogg"},
		{"m4a", "\x00\x00\x00\x20ftypM4A " + rest, "audio/x-m4a"},
		{"mp4", "\x00\x00\x00\x20ftypisom" + rest, "video/mp4"},
		{"mov", "\x00\x00\x00\x14ftypqt  " + rest, "video/quicktime"},
		{"iPhone photo", "\x00\x00\x00\x18ftypheic" + rest, ""},
		{"notes", "MThd\x00\x00\x00\x06" + rest, ""},
		{"a word of text", "ID3 es una etiqueta; fLaC y OggS, formatos. " + strings.Repeat("Más texto. ", 40), ""},
		{"nothing", "", ""},
		{"noise", noise(), ""},
	} {
		if got := IsRecording([]byte(c.data)); got != (c.want != "") {
			t.Errorf("%s: a recording: %v", c.name, got)
		}
		if got := Detect([]byte(c.data), "a.txt"); c.want != "" && got != c.want {
			t.Errorf("%s is %s, want %s", c.name, got, c.want)
		}
	}
	for kind, want := range map[string]string{"webm": "video/webm", "matroska": "video/matroska"} {
		if got := Detect([]byte(matroska(kind)), "a"); got != want || !IsRecording([]byte(matroska(kind))) {
			t.Errorf("%s is %s, want %s", kind, got, want)
		}
	}
}

// TestRecordings looks at the recordings of the folder that ACERVO_TEST_DATA names, as their manifest says.
func TestRecordings(t *testing.T) {
	dir := os.Getenv("ACERVO_TEST_DATA")
	if dir == "" {
		t.Skip("ACERVO_TEST_DATA does not name the folder of test documents")
	}
	dir = filepath.Join(dir, "audio")
	manifest, err := os.Open(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		t.Skip(err)
	}
	defer manifest.Close()
	lines := bufio.NewScanner(manifest)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		var row manifestRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, row.File))
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewRegistry(noPDF).Parse(t.Context(), File{Name: row.File, Data: data}, nil)
		if got := codeOf(t, err); got != row.Code || c.NeedsSpeech != (row.Expect != "failed") {
			t.Errorf("%s: %q, needs speech: %v; want %s %s", row.File, got, c.NeedsSpeech, row.Expect, row.Code)
		}
		if head := data[:min(len(data), HeadBytes)]; IsRecording(head) != c.NeedsSpeech {
			t.Errorf("%s is another thing by its beginning", row.File)
		}
		family, _, _ := strings.Cut(c.MIME, "/")
		if c.NeedsSpeech && (family != "audio" && family != "video" || c.SHA256 != "") {
			t.Errorf("%s: %+v", row.File, c)
		}
	}
}
