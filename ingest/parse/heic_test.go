package parse

import "testing"

// A photo has the same type whether it is asked for by itself or with all others.
func TestHEICType(t *testing.T) {
	for brand, want := range map[string]string{
		"heic": "image/heic", "heix": "image/heic", "mif1": "image/heif", "heim": "image/heif", "heis": "image/heif",
		"avif": "", "isom": "", "qt  ": "", "M4A ": "",
	} {
		file := "\x00\x00\x00\x18ftyp" + brand + "\x00\x00\x00\x00" + noise()
		if got := HEICType([]byte(file)); got != want {
			t.Errorf("%s is %q, want %q", brand, got, want)
		}
		if got := Detect([]byte(file), "a"); want != "" && got != want {
			t.Errorf("%s is detected as %q, want %q", brand, got, want)
		}
	}
	for _, file := range []string{"", "heic", "\x00\x00\x00\x18ftyphei"} {
		if got := HEICType([]byte(file)); got != "" {
			t.Errorf("%q is %q", file, got)
		}
	}
}
