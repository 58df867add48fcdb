package sidecar

import (
	"bufio"
	"encoding/json"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/ingest/parse"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The files of testdata are what Tesseract 5.3.0 wrote of pages of ../../../shared/data/files.
func TestTSVGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.tsv")
	if err != nil || len(files) == 0 {
		t.Fatalf("no TSV in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			tsv, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			page, err := parseTSV(string(tsv))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(page, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".tsv") + ".json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(want) != string(got)+"\n" {
				t.Errorf("%s differs (%v): see with -update and git diff", golden, err)
			}
		})
	}
}

const tsvHead = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n" +
	"1\t1\t0\t0\t0\t0\t0\t0\t1000\t500\t-1\t\n"

func TestTSV(t *testing.T) {
	page, err := parseTSV(tsvHead +
		"5\t1\t1\t1\t1\t1\t100\t50\t200\t25\t90\tArtículo\n" +
		"5\t1\t1\t1\t1\t2\t320\t48\t30\t27\t60\t5.º\n" +
		"5\t1\t1\t1\t2\t1\t100\t80\t50\t25\t80\tsigue\n" +
		"5\t1\t2\t1\t1\t1\t0\t400\t1000\t3\t95\t \n" +
		"5\t1\t3\t1\t1\t1\t-5\t490\t2000\t50\t101\tpie\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Lines) != 3 {
		t.Fatalf("lines %+v", page.Lines)
	}
	first := page.Lines[0]
	if first.Text != "Artículo 5.º" || first.Box != [4]float64{0.1, 0.096, 0.35, 0.15} || math.Abs(first.Confidence-(8*0.9+3*0.6)/11) > 1e-9 {
		t.Errorf("first line %+v", first)
	}
	if page.Lines[1].Paragraph != 1 || page.Lines[2].Paragraph != 2 {
		t.Errorf("paragraphs of %+v", page.Lines)
	}
	if last := page.Lines[2]; last.Box != [4]float64{0, 0.98, 1, 1} || last.Confidence != 1 {
		t.Errorf("last line %+v: not bounded by the page", last)
	}
	if _, err := parseTSV("5\t1\t1\t1\t1\t1\t1\t1\t1\t1\t90\tword\n"); err == nil {
		t.Error("no error without the size of the page")
	}
	if _, err := parseTSV(tsvHead + "5\t1\t1\t1\t1\t1\tx\t1\t1\t1\t90\tword\n"); err == nil {
		t.Error("no error for what is no number")
	}
}

func FuzzTSV(f *testing.F) {
	f.Add(tsvHead + "5\t1\t1\t1\t1\t1\t100\t50\t200\t25\t90\tArtículo\n")
	f.Add("5\t1\t1\t1\t1\t1\tNaN\t-1\t1e308\t1\t90\t\xff\n")
	f.Fuzz(func(t *testing.T, tsv string) {
		page, err := parseTSV(tsv)
		if err == nil {
			checkPage(t, page)
		}
	})
}

// checkPage checks what holds for every page that was read.
func checkPage(t *testing.T, page parse.ScannedPage) {
	t.Helper()
	paragraph := 1
	for i, line := range page.Lines {
		for _, x := range append(line.Box[:], line.Confidence, page.Confidence) {
			if !(x >= 0 && x <= 1) {
				t.Errorf("line %d: %v is not within 0–1: %+v", i, x, line)
			}
		}
		if line.Box[0] > line.Box[2] || line.Box[1] > line.Box[3] {
			t.Errorf("line %d: box %v is turned", i, line.Box)
		}
		if strings.TrimSpace(line.Text) == "" {
			t.Errorf("line %d is empty", i)
		}
		if line.Paragraph < paragraph || line.Paragraph > i+1 {
			t.Errorf("line %d: paragraph %d after %d", i, line.Paragraph, paragraph)
		}
		paragraph = line.Paragraph
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"t":"hello","proto":1,"worker":"ocr","caps":{"devices":["cpu"]},"libs":{"a":"1"}}` + "\n"))
	f.Add([]byte(`{"t":"res","id":"1","ok":null}` + "\n{\"t\":\"res\",\"id\":\"1\",\"err\":{\"code\":\"x\"}}\n"))
	f.Add([]byte("garbage\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(data)), 16)
		for {
			m, err := readMessage(r)
			if err != nil {
				return
			}
			if m.Type == "res" && m.OK == nil && m.Err == nil {
				t.Errorf("a result of nothing: %+v", m)
			}
		}
	})
}

func FuzzRapidPage(f *testing.F) {
	f.Add([]byte(`{"turns":1,"width":100,"height":50,"lines":[{"text":"a","p":0.9,"box":[0,0,10,5]},{"text":"b","p":0.8,"box":[12,0,20,5]}]}`))
	f.Add([]byte(`{"turns":9,"width":-1,"height":1e-300,"lines":[{"text":"a","p":7,"box":[5,5,1,1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var answer rapidPage
		if json.Unmarshal(data, &answer) == nil {
			checkPage(t, answer.page())
		}
	})
}

// A page that is read badly, and the other way up not at all, is read badly.
func TestTurnedInVain(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	command := filepath.Join(t.TempDir(), "tesseract")
	script := "#!" + shell + `
case "$*" in
*--version*) echo tesseract 5.3.0; exit ;;
*"--psm 3"*) exit 1 ;;
esac
cat > /dev/null
printf '1\t1\t0\t0\t0\t0\t0\t0\t200\t100\t-1\t\n'
printf '5\t1\t1\t1\t1\t1\t10\t10\t50\t20\t40\tplazo\n'
`
	if err := os.WriteFile(command, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	tess := &tesseract{command: command, languages: "spa", lease: newLease(nil, hwplan.OCR, hwplan.OnCPU)}
	page, err := tess.recognize(t.Context(), picture(t, 200, 100), "")
	if err != nil || len(page.Lines) != 1 || page.Lines[0].Text != "plazo" || page.Engine != "tesseract 5.3.0" {
		t.Errorf("%+v, %v", page, err)
	}
}

// It runs as the other engines do: tied to this program, in a directory of its own, of which nothing stays.
func TestTesseractIsTied(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	command, scratch := filepath.Join(t.TempDir(), "tesseract"), t.TempDir()
	if err := os.WriteFile(command, []byte("#!"+shell+"\npwd\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := (&tesseract{command: command, scratch: scratch}).run(t.Context(), make([]byte, 1<<20)) // which it does not read
	if err != nil || !strings.HasPrefix(filepath.Base(out), "acervo-tesseract-") {
		t.Errorf("it runs in %q, %v", out, err)
	}
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}
