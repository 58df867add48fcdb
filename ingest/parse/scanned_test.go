package parse

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contentOf writes blocks, each on its page, as a parser does.
func contentOf(t *testing.T, pages int, blocks ...Block) Content {
	t.Helper()
	out := newBuilder(maxText)
	for _, b := range blocks {
		text := b.Under[0]
		b.Under = []string{"Título"}
		var err error
		if len(b.Lines) > 0 {
			err = out.addLines(b, []textLine{{text: text, box: b.Lines[0].Box}})
		} else {
			err = out.add(b, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := out.content("Título", mimePDF)
	c.Pages = pages
	return c
}

func pageOf(texts ...string) ScannedPage {
	page := ScannedPage{Engine: "fake", Confidence: 0.9}
	for i, text := range texts {
		y := 0.1 * float64(i+1)
		page.Lines = append(page.Lines, ScannedLine{Text: text, Box: [4]float64{0.1, y, 0.9, y + 0.05}, Paragraph: 1})
	}
	return page
}

// TestWatermarkHidesNothing: the box of a text set aslant lies over the whole page.
func TestWatermarkHidesNothing(t *testing.T) {
	c, err := readPDF(t, pdfPages([2]string{"", scan + "BT /F1 60 Tf 0.707 0.707 -0.707 0.707 150 200 Tm (BORRADOR COPIA) Tj ET"}))
	if err != nil || !slices.Equal(c.NeedsOCR, []int{1}) {
		t.Fatalf("needs OCR %v, %v", c.NeedsOCR, err)
	}
	page := ScannedPage{Lines: []ScannedLine{{Text: "El plazo vence en mayo.", Box: [4]float64{0.3, 0.4, 0.8, 0.42}}}}
	got, err := c.WithScanned(map[int]ScannedPage{1: page})
	if want := "BORRADOR COPIA\n\nEl plazo vence en mayo."; err != nil || got.Text != want {
		t.Errorf("text %q, %v, want %q", got.Text, err, want)
	}
}

func TestWithScanned(t *testing.T) {
	stamp := [4]float64{0.1, 0.1, 0.3, 0.15}
	c := contentOf(t, 4,
		Block{Kind: Heading, Page: 1, Under: []string{"Título"}, Lines: []Line{{Box: [4]float64{0, 0, 1, 0.1}}}},
		Block{Kind: Item, Page: 1, Under: []string{"  • sangrado"}},
		Block{Kind: Paragraph, Page: 2, Under: []string{"fax 3"}, Lines: []Line{{Box: stamp}}},
		Block{Kind: Paragraph, Page: 2, Under: []string{"una nota"}},
		Block{Kind: Paragraph, Page: 3, Under: []string{"El final."}},
	)
	c.NeedsOCR = []int{2, 4}
	page := pageOf("fax 3", "La maquina-", "ria  se entrega en el Júcar-", "Segura.")
	page.Lines[0].Box = [4]float64{0.11, 0.1, 0.29, 0.14}
	page.Lines = append(page.Lines,
		ScannedLine{Text: "Otro párrafo\x00\u202e", Box: [4]float64{math.NaN(), 1.2, -3, 0.5}, Paragraph: 2},
		ScannedLine{Text: "a  b", Paragraph: 2, Table: 1}, ScannedLine{Text: "c  d", Paragraph: 3, Table: 1},
		ScannedLine{Text: " ", Paragraph: 4})
	got, err := c.WithScanned(map[int]ScannedPage{2: page, 4: {Engine: "fake"}})
	if err != nil {
		t.Fatal(err)
	}
	checkContent(t, got)
	checkPages(t, got)
	want := "Título\n\n  • sangrado\n\nfax 3\n\nuna nota\n\nLa maquinaria\nse entrega en el Júcar-\nSegura.\n\nOtro párrafo\n\na  b\nc  d\n\nEl final."
	if diff := cmp.Diff(want, got.Text); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if len(got.NeedsOCR) != 0 || !slices.Equal(c.NeedsOCR, []int{2, 4}) || !slices.Equal(got.Warnings, []string{"1 hidden character removed"}) {
		t.Errorf("needs OCR %v, before %v, warnings %q", got.NeedsOCR, c.NeedsOCR, got.Warnings)
	}
	kinds := []Kind{}
	for _, b := range got.Blocks {
		kinds = append(kinds, b.Kind)
		for _, l := range b.Lines {
			if text := got.Text[l.Start:l.End]; text == "" || text[0] == '\n' {
				t.Errorf("line %q", text)
			}
		}
	}
	if !slices.Equal(kinds, []Kind{Heading, Item, Paragraph, Paragraph, Paragraph, Paragraph, Table, Paragraph}) || got.Blocks[4].Page != 2 || got.Blocks[4].Under[0] != "Título" {
		t.Errorf("kinds %v, %+v", kinds, got.Blocks[4])
	}
	if own, read := got.Blocks[2], got.Blocks[4]; own.Engine != "" || own.Confidence != 0 || read.Engine != "fake" {
		t.Errorf("who read them: %+v, %+v", own, read)
	}
	if l := got.Blocks[2].Lines[0]; l.Box != stamp || got.Text[l.Start:l.End] != "fax 3" {
		t.Errorf("the stamp moved to %+v", l)
	}
	if l := got.Blocks[4].Lines[0]; got.Text[l.Start:l.End] != "La maquinaria" || l.Box != [4]float64{0.1, 0.2, 0.9, 0.25} {
		t.Errorf("the first line is %+v", l)
	}
}

func TestWithScannedAlone(t *testing.T) {
	got, err := Content{MIME: "image/png", Pages: 1, NeedsOCR: []int{1}}.WithScanned(map[int]ScannedPage{1: {Engine: "fake", Lines: []ScannedLine{
		{Text: "Aviso", Confidence: 0.2}, {Text: "a los vecinos y ", Confidence: 0.8}, {Text: "", Confidence: math.NaN()},
	}}})
	if b := got.Blocks; err != nil || got.Text != "Aviso\na los vecinos y" || got.Pages != 1 || b[0].Page != 1 || math.Abs(b[0].Confidence-13.8/21) > 1e-9 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Headings that were read stand below those of the document, for what follows them, also on the next page.
func TestWithScannedHeadings(t *testing.T) {
	c := contentOf(t, 4,
		Block{Kind: Paragraph, Page: 2, Under: []string{"un sello"}},
		Block{Kind: Heading, Page: 4, Under: []string{"Anexo"}})
	c.NeedsOCR = []int{1, 2, 3}
	line := func(text string, paragraph, heading int) ScannedLine {
		return ScannedLine{Text: text, Paragraph: paragraph, Heading: heading}
	}
	got, err := c.WithScanned(map[int]ScannedPage{
		1: {Lines: []ScannedLine{line("Contrato de", 1, 1), line("arrendamiento", 1, 1), line("Reunidos", 2, 0), line("Cláusulas", 3, 2), line("Primera.", 4, 0)}},
		2: {Lines: []ScannedLine{line("Segunda.", 1, 0)}},
		3: {Lines: []ScannedLine{line("Otrosí", 1, 1), line("Nada más.", 2, 0)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	checkContent(t, got)
	var paths []string
	for _, b := range got.Blocks {
		paths = append(paths, string(b.Kind)+" "+strings.Join(b.Under, " > "))
	}
	want := []string{
		"heading Contrato de arrendamiento", "paragraph Contrato de arrendamiento", "heading Contrato de arrendamiento > Cláusulas",
		"paragraph Contrato de arrendamiento > Cláusulas", "paragraph Título", "paragraph Título > Contrato de arrendamiento > Cláusulas",
		"heading Título > Otrosí", "paragraph Título > Otrosí", "heading Título",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestGarbled(t *testing.T) {
	spanish := "La comunidad acordó por unanimidad que las cuotas de este año se paguen en dos plazos, el primero en marzo y el segundo en septiembre, y que la limpieza del portal corra a cargo de la misma empresa que hasta ahora."
	english := "The committee agreed that the fees of this year shall be paid in two parts, the first of them in March and the other one in September, and that the cleaning of the hall stays with the same company as before."
	shift := func(s string, by rune) string {
		out := []rune(s)
		for i, r := range out {
			if r > ' ' && r < 0x7f {
				out[i] = '!' + (r-'!'+by+94)%94
			}
		}
		return string(out)
	}
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"Spanish":       {spanish, false},
		"English":       {english, false},
		"German":        {"Die Hauptversammlung beschließt, dass die Rechtsschutzversicherung im nächsten Jahr nicht verlängert wird und der Selbstbehalt für alle Angstschweißpatienten gleich bleibt.", false},
		"Polish":        {"Wszystkie przedsiębiorstwa mają obowiązek zgłoszenia się do rejestru w ciągu trzydziestu dni od daty rozpoczęcia działalności gospodarczej na terenie kraju.", false},
		"Russian":       {"Все предприятия обязаны зарегистрироваться в течение тридцати дней с начала деятельности.", false},
		"Japanese":      {"すべての企業は、事業開始日から三十日以内に登録する義務があります。東京都の条例による。", false},
		"numbers":       {"12,5 13,8 14.000 KX-7741 DX-9 99 100 2025 KWh m² 1.250,75 € 450.000 8,25% IBAN ES12 0049 1500", false},
		"acronyms":      {"RSPH BBDD CRM SQL HTTP XML HTML CSS JVM SDK DNS TCP UDP SSH TLS RSA DSA", false},
		"units":         {strings.Repeat("R7 10 kΩ 5 %  C3 22 μF  t4 10 μs ", 6), false},
		"ticks":         {strings.Repeat("Copia diaria \uf0fc \uf0fc \uf0fb \uf0fc \uf0fc \uf06f ", 4), false},
		"bullets":       {"\uf0b7 uno\n\uf0b7 dos\n\uf0b7 tres cosas", false},
		"formulas":      {"Sea ΔT la variación de la temperatura, λ la longitud de onda y μm su unidad, con αx + βy = γz para todo x.", false},
		"private use":   {"\ue001\ue002\ue003\ue004 \ue005\ue006\ue007 \ue008\ue009\ue00a\ue00b\ue00c\ue00d\ue00e \ue00f\ue010\ue011", true},
		"replacements":  {"La \ufffd\ufffd\ufffd\ufffd\ufffd de \ufffd\ufffd\ufffd\ufffd dura \ufffd\ufffd\ufffd", true},
		"mixed letters": {"Lа cоmunidаd аcоrdó pоr unаnimidаd quе lаs cuоtаs dе еstе аñо sе pаguеn еn dоs plаzоs", true},
		"shifted":       {shift(english, -29), true},
		"shifted by 3":  {shift(spanish, 3), true},
		"bad OCR layer": {"Ihc ctmrn1t1cc ~grc<d th#t t|ic fcc> ^f th1s y*ar sh#ll b| p@id 1n tw$ p#rts, tl|c f1r$t 0f tl|cm 1n M#rch @nd t{e 0th=r 0nc |n S<pt=mb<r rnrn cl|c lcl|n tl{c hl_l st#ys w|th tl|e s~me c*mpny b^fr crn hl|l tlnc wnth brn tgh|c vfr clgn trn|c", true},
		"little":        {"xkcd vwl", false},
	} {
		if got := garbled([]pdfLine{{text: test.text}}); got != test.want {
			t.Errorf("%s: garbled %v, want %v", name, got, test.want)
		}
	}
}
