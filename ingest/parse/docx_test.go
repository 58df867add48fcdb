package parse

import (
	"maps"
	"strings"
	"testing"
)

// wordOf returns a Word document with a body; parts adds or replaces parts.
func wordOf(t testing.TB, body string, parts map[string]string) string {
	t.Helper()
	const root = `<?xml version="1.0" encoding="UTF-8"?><w:%s xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:mc="urn:mc" xmlns:m="urn:m" xmlns:wps="urn:wps" xmlns:v="urn:v">`
	wrap := func(name, content string) string {
		return strings.Replace(root, "%s", name, 1) + content + "</w:" + name + ">"
	}
	all := map[string]string{
		"[Content_Types].xml": "<Types/>",
		"word/document.xml":   wrap("document", "<w:body>"+body+"</w:body>"),
		"word/styles.xml":     wrap("styles", wordStyles),
		"word/numbering.xml":  wrap("numbering", wordNumbering),
		"word/footnotes.xml":  wrap("footnotes", `<w:footnote w:type="separator" w:id="0"><w:p><w:r><w:t>raya</w:t></w:r></w:p></w:footnote><w:footnote w:id="1"><w:p><w:r><w:t>Según la orden 44/2021.</w:t></w:r></w:p></w:footnote>`),
		"word/comments.xml":   wrap("comments", `<w:comment w:id="1"><w:p><w:r><w:t>comentario secreto</w:t></w:r></w:p></w:comment>`),
		"word/header1.xml":    wrap("hdr", `<w:p><w:r><w:t>cabecera</w:t></w:r></w:p>`),
	}
	maps.Copy(all, parts)
	return zipOf(t, all)
}

const wordStyles = `
<w:style w:styleId="Ttulo"><w:name w:val="Title"/></w:style>
<w:style w:styleId="Ttulo1"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
<w:style w:styleId="Ttulo2"><w:name w:val="heading 2"/><w:basedOn w:val="Ttulo1"/><w:pPr><w:numPr><w:ilvl w:val="1"/></w:numPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:styleId="Propio"><w:name w:val="Mi apartado"/><w:basedOn w:val="Ttulo2"/></w:style>
<w:style w:styleId="TDC1"><w:name w:val="toc 1"/></w:style>
<w:style w:styleId="Lista"><w:name w:val="List Bullet"/><w:pPr><w:numPr><w:numId w:val="2"/></w:numPr></w:pPr></w:style>
<w:style w:styleId="Bucle"><w:name w:val="bucle"/><w:basedOn w:val="Bucle"/></w:style>`

const wordNumbering = `
<w:abstractNum w:abstractNumId="0">
 <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:pStyle w:val="Ttulo1"/><w:lvlText w:val="%1."/></w:lvl>
 <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerRoman"/><w:lvlText w:val="%1.%2"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="1">
 <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="bullet"/><w:lvlText w:val="•"/></w:lvl>
 <w:lvl w:ilvl="1"><w:start w:val="3"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%2)"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="1"/><w:lvlOverride w:ilvl="1"><w:startOverride w:val="1"/></w:lvlOverride></w:num>`

// para writes a paragraph of a style, which may be empty; more goes before its text.
func para(style, more, text string) string {
	return `<w:p><w:pPr><w:pStyle w:val="` + style + `"/>` + more + `</w:pPr><w:r><w:t xml:space="preserve">` + text + `</w:t></w:r></w:p>`
}

func cell(props, content string) string {
	return `<w:tc><w:tcPr>` + props + `</w:tcPr>` + content + `</w:tc>`
}

func item(list, level, text string) string {
	return para("", `<w:numPr><w:ilvl w:val="`+level+`"/><w:numId w:val="`+list+`"/></w:numPr>`, text)
}

var wordBody = strings.Join([]string{
	para("Ttulo", "", "Reglamento del mercado"),
	para("TDC1", "", "Objeto 1"),
	para("Ttulo1", "", "Objeto"),
	`<w:p><w:r><w:t xml:space="preserve">Abre a las </w:t></w:r><w:del><w:r><w:delText>nueve</w:delText></w:r></w:del><w:ins><w:r><w:t>ocho</w:t></w:r></w:ins>` +
		`<w:r><w:footnoteReference w:id="1"/><w:t xml:space="preserve"> y cuarto,</w:t><w:tab/><w:t>salvo</w:t></w:r>` +
		`<w:hyperlink><w:r><w:t xml:space="preserve"> festivos</w:t></w:r></w:hyperlink><w:commentRangeStart w:id="1"/><w:moveFrom><w:r><w:t>ido</w:t></w:r></w:moveFrom>` +
		`<w:moveTo><w:r><w:t xml:space="preserve"> y lunes</w:t></w:r></w:moveTo><w:r><w:rPr><w:vanish/></w:rPr><w:t>invisible</w:t></w:r><w:r><w:br/><w:t>Precio: 3</w:t><w:sym w:font="Symbol" w:char="F061"/><w:noBreakHyphen/><w:t>b</w:t></w:r>` +
		`<m:oMath><m:r><m:t>x</m:t></m:r><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:oMath></w:p>`,
	para("Ttulo2", "", "Puestos"), para("Propio", "", "Toldos"), para("Ttulo1", "", "Tasas"), para("Propio", "", "Recargos"),
	para("Lista", "", "punto"), item("2", "1", "tercero"), item("2", "1", "cuarto"), item("3", "1", "de nuevo"), item("0", "0", "sin lista"), para("Bucle", "", "suelto"),
	`<w:tbl><w:tr>` + cell(`<w:vMerge w:val="restart"/>`, para("", "", "Fruta")) + cell("", para("", "", "Manzana")+para("", "", "Pera")) + cell("", para("", "", "2,10 €")) + `</w:tr>`,
	`<w:tr>` + cell(`<w:vMerge/>`, para("", "", "")) + cell(`<w:gridSpan w:val="2"/>`, `<w:tbl><w:tr>`+cell("", para("", "", "a"))+cell("", para("", "", "b"))+`</w:tr></w:tbl><w:p/>`) + `</w:tr>`,
	`<w:tr><w:trPr><w:del/></w:trPr>` + cell("", para("", "", "borrada")) + `</w:tr></w:tbl>`,
	`<w:tbl><w:tr>` + cell("", para("Ttulo2", "", "Enmarcado")+para("", "", "En un marco")) + `</w:tr></w:tbl>`,
	`<w:sdt><w:sdtPr/><w:sdtContent>` + para("", "", "En un control") + `</w:sdtContent></w:sdt>`,
	`<w:p><w:r><w:t>Con caja</w:t><mc:AlternateContent><mc:Choice><w:drawing><wps:txbx><w:txbxContent>` + para("", "", "Texto de la caja") +
		`</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent>` + para("", "", "Texto de la caja") +
		`</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p><w:sectPr/>`,
}, "")

func TestDOCX(t *testing.T) {
	c, err := parseFile(t, "a.docx", wordOf(t, wordBody, nil))
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "reglamento.docx", c)
}

func TestDOCXTitle(t *testing.T) {
	body := para("Ttulo", "", "El de la portada")
	for title, want := range map[string]string{
		"Informe anual":             "Informe anual",
		"":                          "El de la portada",
		"Microsoft Word - acta.doc": "El de la portada",
		"acta.docx":                 "El de la portada",
		"Documento1":                "El de la portada",
	} {
		core := `<cp:coreProperties xmlns:cp="urn:cp" xmlns:dc="urn:dc"><dc:creator>Ana</dc:creator><dc:title>` + title + `</dc:title></cp:coreProperties>`
		c, err := parseFile(t, "a.docx", wordOf(t, body, map[string]string{"docProps/core.xml": core}))
		if err != nil || c.Title != want {
			t.Errorf("%q: got %q, %v", title, c.Title, err)
		}
	}
}

func TestDOCXFollowsRelations(t *testing.T) {
	c, err := parseFile(t, "a.docx", wordOf(t, "", map[string]string{
		"_rels/.rels":        `<Relationships><Relationship Type="http://x/officeDocument" Target="/word/document2.xml"/></Relationships>`,
		"word/document2.xml": `<w:document xmlns:w="urn:w"><w:body><w:p><w:pPr><w:pStyle w:val="Heading3"/></w:pPr><w:r><w:t>Otro</w:t></w:r></w:p></w:body></w:document>`,
	}))
	if err != nil || outlineOf(c) != "<Otro> heading: Otro\n" {
		t.Errorf("got %q, %v", outlineOf(c), err)
	}
}

func TestHostileDOCX(t *testing.T) {
	laughs := `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ja"><!ENTITY b "&a;&a;">]><w:styles xmlns:w="urn:w"><w:style w:styleId="&b;"/></w:styles>`
	many := make(map[string]string)
	for i := range maxMembers {
		many["word/media/"+strings.Repeat("x", i%90)+string(rune('a'+i%26))+formatNumber(i, "")] = ""
	}
	cut := wordOf(t, wordBody, nil)
	locked := []byte(cut)
	for i := strings.Index(cut, "PK\x01\x02"); i >= 0 && i < len(cut); {
		locked[i+8] |= 1
		next := strings.Index(cut[i+4:], "PK\x01\x02")
		if next < 0 {
			break
		}
		i += 4 + next
	}
	tests := []struct {
		name, data string
		want       Code
	}{
		{"empty body", wordOf(t, "", nil), Empty},
		{"entities", wordOf(t, wordBody, map[string]string{"word/styles.xml": laughs}), Corrupt},
		{"entities in the document", wordOf(t, "", map[string]string{"word/document.xml": laughs}), Corrupt},
		{"broken document", wordOf(t, "<w:p><w:r>", nil), Corrupt},
		{"no document", zipOf(t, map[string]string{"word/styles.xml": "<x/>"}), Corrupt},
		{"cut short", cut[:len(cut)/2], Corrupt},
		{"bomb", wordOf(t, para("", "", strings.Repeat("bomba ", 4<<20)), nil), Bomb},
		{"deep", wordOf(t, strings.Repeat("<w:sdt>", 300)+strings.Repeat("</w:sdt>", 300), nil), Bomb},
		{"many members", wordOf(t, wordBody, many), Bomb},
		{"password", string(locked), Encrypted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseFile(t, "a.docx", tt.data)
			if got := codeOf(t, err); got != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestFormatNumber(t *testing.T) {
	for _, tt := range []struct {
		n            int
		format, want string
	}{
		{28, "lowerLetter", "bb"}, {3, "upperLetter", "C"}, {1994, "upperRoman", "MCMXCIV"}, {4, "lowerRoman", "iv"},
		{7, "decimalZero", "07"}, {12, "decimal", "12"}, {1 << 30, "lowerLetter", "1073741824"}, {-1, "upperRoman", "-1"},
	} {
		if got := formatNumber(tt.n, tt.format); got != tt.want {
			t.Errorf("formatNumber(%d, %s) = %q, want %q", tt.n, tt.format, got, tt.want)
		}
	}
}

func FuzzDOCX(f *testing.F) {
	f.Add(wordBody, wordNumbering)
	f.Add(item("1", "9", "x")+"<w:tbl><w:tr><w:tc/></w:tr></w:tbl>", `<w:num w:numId="1"/>`)
	f.Fuzz(func(t *testing.T, body, numbering string) {
		parts := map[string]string{"word/numbering.xml": `<w:numbering xmlns:w="urn:w">` + numbering + `</w:numbering>`}
		fuzzed(t, parseDOCX, []byte(wordOf(t, body, parts)))
	})
}
