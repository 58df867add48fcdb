package sidecar

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

// The real engines, on real and on rendered scans. What is not on the machine is skipped and said.

// program skips the test where a program is not there.
func program(t testing.TB, names ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("real engines are slow")
	}
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("no %s", name)
		}
	}
}

// sharedFile is a file of the shared test data, which a checkout may lack.
func sharedFile(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no %s", path)
	}
	return path
}

// pages are the images of a PDF's first three pages at 300 dpi, or the image itself.
func pages(t testing.TB, path string) [][]byte {
	t.Helper()
	images := []string{path}
	if strings.HasSuffix(path, ".pdf") {
		dir := t.TempDir()
		if out, err := exec.Command("pdftoppm", "-r", "300", "-l", "3", "-jpeg", path, filepath.Join(dir, "p")).CombinedOutput(); err != nil {
			t.Fatalf("pdftoppm: %v: %s", err, out)
		}
		images, _ = filepath.Glob(filepath.Join(dir, "p*.jpg"))
	}
	var out [][]byte
	for _, name := range images {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

func newTestOCR(t testing.TB, engine string) *OCR {
	t.Helper()
	cfg := Config{Engine: engine, Cache: t.TempDir()}
	if engine == engineRapid {
		cfg.Python = testPython(t)
	}
	o, err := NewOCR(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

func textOf(page parse.ScannedPage) string {
	var lines []string
	for _, line := range page.Lines {
		lines = append(lines, line.Text)
	}
	return strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
}

func TestRealScans(t *testing.T) {
	tests := []struct {
		file string
		want map[int]string // page, from 1
	}{
		{"contrato-escaneado.pdf", map[int]string{1: "Telares del Júcar", 2: "450.000", 3: "Motilla del Palancar"}},
		{"contrato-escaneado-girado.pdf", map[int]string{1: "Telares del Júcar", 3: "Motilla del Palancar"}},
		{"ocr_test_rotated_180.pdf", map[int]string{1: "easy self contained"}},
		{"ocr_test_rotated_90.pdf", map[int]string{1: "easy self contained"}},
		{"ocr_test_rotated_270.pdf", map[int]string{1: "easy self contained"}},
		{"phototest-rotated-180.png", map[int]string{1: "The quick brown dog jumped over the"}},
		{"foto-aviso-exif6.jpg", map[int]string{1: "Corte de agua el martes 11 de noviembre"}},
		{"cardinal.pdf", map[int]string{1: "32 Track MIDI Sequence Recorder", 2: "LinnSequencer", 3: "LinnSequencer"}},
		{"rotated_skew.pdf", map[int]string{1: "MIDI channels"}},
		{"skew.pdf", map[int]string{1: "to quickly access any location in your sequence for"}}, // lines of a column,
		{"typewriter.png", map[int]string{1: "kopjes melk"}},
	}
	// RapidOCR, the slower one, reads all others in the program's TestScansOfManifest.
	rapid := []string{"contrato-escaneado.pdf", "ocr_test_rotated_270.pdf", "foto-aviso-exif6.jpg", "rotated_skew.pdf"}
	for _, engine := range []string{engineTesseract, engineRapid} {
		t.Run(engine, func(t *testing.T) {
			program(t, "pdftoppm", "tesseract")
			o := newTestOCR(t, engine)
			for _, tt := range tests {
				if engine == engineRapid && !slices.Contains(rapid, tt.file) {
					continue
				}
				t.Run(tt.file, func(t *testing.T) { readScan(t, o, tt.file, tt.want) })
			}
		})
	}
}

func readScan(t *testing.T, o *OCR, file string, want map[int]string) {
	for i, image := range pages(t, sharedFile(t, "files/"+file)) {
		start := time.Now()
		page, err := o.Recognize(t.Context(), image, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("page %d: %s, %d lines, confidence %.3f, %.1f s", i+1, page.Engine, len(page.Lines), page.Confidence, time.Since(start).Seconds())
		checkPage(t, page)
		if text := textOf(page); !strings.Contains(text, want[i+1]) {
			t.Errorf("page %d has no %q: %.300s", i+1, want[i+1], text)
		}
	}
}

// A line of a turned page has its box where it stands on that page.
func TestBoxesOfTurnedPages(t *testing.T) {
	program(t, "pdftoppm", "tesseract")
	for _, engine := range []string{engineTesseract, engineRapid} {
		t.Run(engine, func(t *testing.T) {
			o := newTestOCR(t, engine)
			first := func(name string) [4]float64 {
				page, err := o.Recognize(t.Context(), pages(t, sharedFile(t, "files/"+name))[0], "")
				if err != nil || len(page.Lines) == 0 || !strings.HasPrefix(page.Lines[0].Text, "Docling bundles") {
					t.Fatalf("%s: %+v, %v", name, page, err)
				}
				return page.Lines[0].Box
			}
			upright := first("ocr_test.pdf")
			for name, quarters := range map[string]int{"90": 3, "180": 2, "270": 1} {
				if got := turnBack(first("ocr_test_rotated_"+name+".pdf"), quarters); !near(got, upright, 0.02) {
					t.Errorf("turned by %s: %v, upright %v", name, got, upright)
				}
			}
		})
	}
}

const (
	spanish = "Señor Núñez: ¿recibió usted la cigüeña y el pingüino de la vitrina número 12? ¡Qué alegría! El contrato n.º 88-4402-Z, " +
		"firmado en Cuenca el 14 de marzo de 2025, asciende a 1.250,75 € al mes, IVA incluido. La arrendataria, doña Begoña Íñiguez " +
		"Peñalba, con D.N.I. 05.123.987-Q, abonará la fianza antes del día 5 mediante transferencia a la cuenta ES91 2100 0418 4502 " +
		"0005 1332. «No se admitirán animales», añadió el administrador, «ni más de 40 litros de disolvente en el almacén». " +
		"Quedan exceptuados los años bisiestos, los vehículos de tracción eléctrica y los niños menores de once años."
	english = "Dear Mr Whitfield, the boiler in flat 12 was inspected on 14 March 2025 and passed every test but one. The pressure valve " +
		"leaks when the system is cold, which the tenant had reported twice. A replacement costs 1,450.75 pounds including labour, and " +
		"the engineer can fit it on any weekday before noon. Until then the heating must not be left on overnight. Please sign the " +
		"enclosed form and return it to our office at 27 Quayside; we shall send you a copy of the certificate within ten days. " +
		"The warranty covers parts for five years, provided that the boiler is serviced annually by an approved fitter."
)

// The figures of facts/perception.md: pages rendered and made worse as a scanner would, at 300 dpi.
func TestErrorRates(t *testing.T) {
	program(t, "pdftoppm", "tesseract")
	for _, tt := range []struct {
		name, text string
		limit      float64 // of Tesseract's characters
	}{{"es", spanish, 0.015}, {"en", english, 0.005}} {
		for _, engine := range []string{engineTesseract, engineRapid} {
			t.Run(tt.name+"/"+engine, func(t *testing.T) {
				o := newTestOCR(t, engine)
				image := scan(t, tt.text, 0.8)
				start := time.Now()
				page, err := o.Recognize(t.Context(), image, "")
				if err != nil {
					t.Fatal(err)
				}
				rate := errorRate([]rune(tt.text), []rune(textOf(page)))
				t.Logf("CER %.2f %%, confidence %.3f, %.1f s, %s", 100*rate, page.Confidence, time.Since(start).Seconds(), page.Engine)
				if engine == engineTesseract && rate > tt.limit {
					t.Errorf("CER %.2f %% is over %.1f %%: %s", 100*rate, 100*tt.limit, textOf(page))
				}
			})
		}
	}
}

// A page that lies askew is read as well as one that lies straight, and its lines have their boxes where they are. By
// itself Tesseract reads nothing of a page at 5 degrees.
func TestErrorRatesOfSkewedPages(t *testing.T) {
	program(t, "pdftoppm", "tesseract")
	for _, tt := range []struct {
		engine  string
		degrees []float64
	}{{engineTesseract, []float64{-10, -5, -2, 2, 5, 10}}, {engineRapid, []float64{10}}} {
		o := newTestOCR(t, tt.engine)
		for _, degrees := range tt.degrees {
			t.Run(fmt.Sprintf("%s/%g", tt.engine, degrees), func(t *testing.T) {
				page, err := o.Recognize(t.Context(), scan(t, spanish, degrees), "")
				if err != nil || len(page.Lines) == 0 {
					t.Fatalf("%+v, %v", page, err)
				}
				rate := errorRate([]rune(spanish), []rune(textOf(page)))
				t.Logf("CER %.2f %%, confidence %.3f", 100*rate, page.Confidence)
				if rate > 0.015 {
					t.Errorf("CER %.2f %%: %s", 100*rate, textOf(page))
				}
				checkPage(t, page)
				first := page.Lines[0].Box
				if fall := (first[2] - first[0]) * 2481 / 3508 * math.Tan(math.Abs(degrees)*math.Pi/180); math.Abs(first[3]-first[1]-fall) > 0.02 {
					t.Errorf("the first line has the box %v, and falls by %.3f", first, fall)
				}
			})
		}
	}
}

// scan renders a text as a page that was printed in a serif at 11 points and scanned askew, its lines falling to the
// right by so many degrees.
func scan(t *testing.T, text string, degrees float64) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.pdf")
	if err := os.WriteFile(path, printed(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gray, err := decodeGray(pages(t, path)[0])
	if err != nil {
		t.Fatal(err)
	}
	noise := rand.New(rand.NewPCG(1, 2))
	out := image.NewGray(gray.Rect)
	w, h := gray.Rect.Dx(), gray.Rect.Dy()
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	for y := range h {
		for x := range w {
			dx, dy := float64(x-w/2), float64(y-h/2)
			v := blurred(gray, float64(w/2)+cos*dx+sin*dy, float64(h/2)-sin*dx+cos*dy)
			out.Pix[y*out.Stride+x] = uint8(max(0, min(255, 20+0.85*v+14*noise.NormFloat64())))
		}
	}
	var data bytes.Buffer
	if err := jpeg.Encode(&data, out, &jpeg.Options{Quality: 45}); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// blurred is the mean around a point.
func blurred(img *image.Gray, x, y float64) float64 {
	sum := 0.0
	for _, d := range [][2]float64{{-0.5, -0.5}, {0.5, -0.5}, {-0.5, 0.5}, {0.5, 0.5}} {
		px, py := int(math.Round(x+d[0])), int(math.Round(y+d[1]))
		if !(image.Point{X: px, Y: py}.In(img.Rect)) {
			sum += 255
			continue
		}
		sum += float64(img.Pix[py*img.Stride+px])
	}
	return sum / 4
}

// printed is a PDF of one page, in a font that every reader has, in Latin-1 but for the euro sign.
func printed(text string) []byte {
	var stream bytes.Buffer
	stream.WriteString("BT /F 11 Tf 14 TL 60 780 Td\n")
	line := ""
	for _, word := range append(strings.Fields(text), "") {
		if word == "" || len(line)+len(word) > 88 {
			raw := []byte{}
			for _, r := range line {
				if r == '€' {
					r = 0x80
				}
				raw = append(raw, byte(r))
			}
			fmt.Fprintf(&stream, "<%x> Tj T*\n", raw)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	stream.WriteString("ET\n")
	return fmt.Appendf(nil, "%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj\n"+
		"4 0 obj<</Length %d>>stream\n%sendstream endobj\n5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Times-Roman/Encoding/WinAnsiEncoding>>endobj\n"+
		"trailer<</Root 1 0 R>>\n", stream.Len(), stream.Bytes())
}

// errorRate is the edit distance by the length of what is true.
func errorRate[T comparable](truth, got []T) float64 {
	row := make([]int, len(got)+1)
	for j := range row {
		row[j] = j
	}
	for i, a := range truth {
		last := row[0]
		row[0] = i + 1
		for j, b := range got {
			change := last
			if a != b {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, row[j]+1, last+1)
		}
	}
	return float64(row[len(got)]) / float64(max(1, len(truth)))
}

func TestBlankPage(t *testing.T) {
	program(t, "tesseract")
	page, err := newTestOCR(t, engineTesseract).Recognize(t.Context(), blank(t), "")
	if err != nil || len(page.Lines) != 0 || page.Confidence != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

func blank(t *testing.T) []byte {
	t.Helper()
	data := picture(t, 2480, 3508)
	gray, err := decodeGray(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range gray.Pix {
		gray.Pix[i] = 255
	}
	if data, err = encodeGray(gray); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMissingLanguage(t *testing.T) {
	program(t, "tesseract")
	tess := &tesseract{command: engineTesseract, languages: "xyz", lease: newLease(nil, hwplan.OCR, hwplan.OnCPU)}
	if _, err := tess.recognize(t.Context(), picture(t, 200, 100), ""); !errors.Is(err, ErrMissing) {
		t.Errorf("error %v", err)
	}
}

func TestCheck(t *testing.T) {
	program(t, "tesseract")
	found := Check(t.Context(), Config{Python: testPython(t), Cache: t.TempDir(), Model: always(testModel(t))})
	for _, f := range found {
		t.Logf("%+v", f)
		if f.Engine == "pi-heif" && strings.Contains(f.Detail, "lacks pi-heif") {
			continue // the test bed's Python has it only in CI
		}
		if f.Engine != engineSurya && (!f.OK || f.Version == "") { // no machine of ours has Surya's weights
			t.Errorf("%+v", f)
		}
	}
	for _, f := range Check(t.Context(), Config{Cache: t.TempDir()})[1:] {
		if f.OK || !strings.Contains(f.Detail, "acervo setup") {
			t.Errorf("without Python: %+v", f)
		}
	}
}
