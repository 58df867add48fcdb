package parse

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parseFile reads a file with everything but PDF and checks the result.
func parseFile(t *testing.T, name, data string) (Content, error) {
	t.Helper()
	c, err := NewRegistry(noPDF).Parse(t.Context(), File{Name: name, Data: []byte(data)}, nil)
	if err == nil {
		checkContent(t, c)
	}
	return c, err
}

// codeOf is the code of a parser's error, "" for none.
func codeOf(t *testing.T, err error) Code {
	t.Helper()
	var problem *Error
	if err != nil && !errors.As(err, &problem) {
		t.Fatalf("got %T %v, want *Error", err, err)
	}
	if problem == nil {
		return ""
	}
	return problem.Code
}

func zipOf(t testing.TB, members map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(members[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const ole = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"

// noise is what no format is: bytes of all values.
func noise() string {
	var b strings.Builder
	for i := range 4096 {
		b.WriteByte(byte(i * 151))
	}
	return b.String()
}

func TestRefusals(t *testing.T) {
	wide := strings.Join(strings.Split("EncryptedPackage", ""), "\x00")
	tests := []struct {
		name, file, data string
		want             Code
	}{
		{"nothing", "a.pdf", "", Empty},
		{"white space", "a.txt", " \n\t\r\n", Empty},
		{"hidden text only", "a.txt", "\u200b\u200b", Empty},
		{"page without text", "a.html", "<html><script>x()</script></html>", Empty},
		{"text named pdf", "a.pdf", "Esto no es un PDF: la llave está en el cajón 45.", Corrupt},
		{"noise named pdf", "a.pdf", noise(), Corrupt},
		{"noise named txt", "a.txt", noise(), Unsupported},
		{"noise named docx", "a.docx", noise(), Corrupt},
		{"torn zip named docx", "a.docx", "PK\x03\x04" + noise(), Corrupt},
		{"torn zip", "a.zip", "PK\x03\x04" + noise(), Unsupported},
		{"zip named docx", "a.docx", zipOf(t, map[string]string{"a.txt": "hola"}), Unsupported},
		{"workbook", "a.xlsx", zipOf(t, map[string]string{"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"}), Unsupported},
		{"container named docx", "a.docx", ole + noise(), Encrypted},
		{"locked document", "a.bin", ole + noise() + wide, Encrypted},
		{"noise like an image", "a.txt", "\x89PNG\r\n\x1a\n" + noise(), Corrupt},
		{"image of a kind not read", "a.heic", "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1" + noise(), Unsupported},
		{"text named mp3", "a.mp3", "Esto no suena.", Corrupt},
		{"noise named mp3", "a.mp3", noise(), Corrupt},
		{"notes", "a.mid", "MThd\x00\x00\x00\x06" + noise(), Unsupported},
		{"e-mail", "a.eml", "From: ana@example.org\r\nTo: eva@example.org\r\nSubject: hola\r\nDate: Mon, 3 Feb 2025 10:00:00 +0100\r\n\r\nhola", Unsupported},
		{"mailbox", "a.mbox", "From ana@example.org Mon Feb  3 10:00:00 2025\nSubject: hola\n\nhola", Unsupported},
		{"rtf", "a.rtf", `{\rtf1\ansi hola}`, Unsupported},
		{"too large", "a.txt", strings.Repeat("x", maxSource+1), TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseFile(t, tt.file, tt.data)
			if got := codeOf(t, err); got != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	pdf := "%PDF-1.7\n"
	tests := []struct{ file, data, want string }{
		{"informe.docx", pdf, mimePDF},
		{"a.pdf", "HTTP/1.1 200 OK\r\n\r\n" + pdf, mimePDF},
		{"notas.md", "Un PDF empieza por %PDF-1.7.", mimeMarkdown},
		{"a.txt", "# no es Markdown", mimeText},
		{"a.MARKDOWN", "<div>x</div>", mimeMarkdown},
		{"a.txt", "<!doctype html><p>hola", mimeHTML},
		{"a.htm", "hola", mimeHTML},
		{"a.xhtml", `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><p>x</p></html>`, mimeHTML},
		{"a", "BMW es una marca de coches.", mimeText},
		{"a.csv", "a,b\n1,2\n3,4\n", "text/csv"},
		{"a.txt", "h\x00o\x00l\x00a\x00", mimeText},
		{"a.doc", zipOf(t, map[string]string{"_rels/.rels": "", "word/document.xml": ""}), mimeDOCX},
	}
	for _, tt := range tests {
		if got := Detect([]byte(tt.data), tt.file); got != tt.want {
			t.Errorf("Detect(%.20q, %s) = %s, want %s", tt.data, tt.file, got, tt.want)
		}
	}
}

func TestRegistryRecovers(t *testing.T) {
	r := NewRegistry(func(context.Context, File, Progress) (Content, error) { panic("torn") })
	_, err := r.Parse(t.Context(), File{Name: "a.pdf", Data: []byte("%PDF-1.7")}, nil)
	if got := codeOf(t, err); got != Corrupt {
		t.Errorf("got %v, want %s", err, Corrupt)
	}
}

func TestRegistryFillsIn(t *testing.T) {
	c, err := parseFile(t, "a.csv", "a,b\n1,2\n3,4\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Content{
		MIME: "text/csv", Text: "a,b\n1,2\n3,4", Blocks: []Block{{Start: 0, End: 11, Kind: Paragraph}},
		SHA256: "b9485148546419a0f6a85e8d708c923557c15d7f3c7d078ef1fa7f7c0f57d5a5",
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}
