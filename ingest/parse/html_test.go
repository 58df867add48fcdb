package parse

import (
	"strings"
	"testing"
)

func TestHTMLCharacterSet(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"declared", "<meta charset=iso-8859-1><p>a\xf1o", "año"},
		{"declared by its old name", `<meta http-equiv="Content-Type" content="text/html; charset=windows-1252"><p>a` + "\xf1o \x80", "año €"},
		{"utf-8 that says latin", "<meta charset=iso-8859-1><p>año", "año"},
		{"latin that says utf-8", "<meta charset=utf-8><p>El ni\xf1o comi\xf3 paella con la se\xf1ora", "El niño comió paella con la señora"},
		{"undeclared", "<p>El ni\xf1o comi\xf3 15,50 \x80", "El niño comió 15,50 €"},
		{"utf-16", "\xff\xfe<\x00p\x00>\x00a\x00\xf1\x00o\x00", "año"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseFile(t, "a.html", tt.in)
			if err != nil || c.Text != tt.want {
				t.Errorf("got %q, %v, want %q", c.Text, err, tt.want)
			}
		})
	}
}

func TestHTMLKeepsNavigationWhereNothingElseIs(t *testing.T) {
	c, err := parseFile(t, "a.html", "<title>Índice</title><nav><ul><li>Tarifas</ul></nav><script>x</script>")
	if err != nil || c.Text != "- Tarifas" || c.Title != "Índice" {
		t.Errorf("got %q, title %q, %v", c.Text, c.Title, err)
	}
}

func TestHTMLDepth(t *testing.T) {
	const deep = 30_000
	c, err := parseFile(t, "a.html", strings.Repeat("<div><b>", deep)+"fondo"+strings.Repeat("</b></div>", deep))
	if err != nil || c.Text != "fondo" {
		t.Errorf("got %q, %v", c.Text, err)
	}
	_, err = parseFile(t, "a.html", strings.Repeat("<b>", maxOpen+1)+"x")
	if code := codeOf(t, err); code != Bomb {
		t.Errorf("got %v, want %s", err, Bomb)
	}
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		"<title>a</title><h1>b</h1><p>c<table><caption>d<tr><td>e<td><table><tr><th>f</table>", "<ul><li>a<ol start=9><li>b</ul></ol>",
		"<pre>\n a</pre><p hidden>b<p>c<nav>d", "</td></table><td><h2>x<table>y</h2>", "<meta charset=gbk>\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, parseHTML, data) })
}
