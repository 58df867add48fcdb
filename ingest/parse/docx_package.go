package parse

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"
)

// Limits of a package of XML parts. The ratio is what the archive claims: a
// part that unpacks to more than it claims fails. The others count bytes that
// were really unpacked.
const (
	maxMembers  = 10_000
	maxPart     = 64 << 20
	maxPackage  = 256 << 20
	maxRatio    = 200 // unpacked to packed, above freeRatio
	freeRatio   = 10 << 20
	maxXMLDepth = 256
)

// A docxPackage is the archive of parts that a Word document is.
type docxPackage struct {
	members map[string]*zip.File
	left    int64 // bytes that may still be unpacked
}

func openPackage(data []byte) (*docxPackage, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, Errorf(Corrupt, "its archive cannot be opened: %v", err)
	}
	if len(z.File) > maxMembers {
		return nil, Errorf(Bomb, "its archive has %d members", len(z.File))
	}
	p := &docxPackage{members: make(map[string]*zip.File), left: maxPackage}
	for _, f := range z.File {
		name := strings.TrimPrefix(strings.ReplaceAll(f.Name, `\`, "/"), "/")
		if p.members[name] == nil {
			p.members[name] = f
		}
	}
	return p, nil
}

// read calls fn with the root element of a part, and with nothing where there
// is no such part.
func (p *docxPackage) read(name string, fn func(x *xmlReader, root xml.StartElement) error) error {
	f := p.members[name]
	if f == nil {
		return nil
	}
	if f.Flags&1 != 0 {
		return Errorf(Encrypted, "its archive is protected by a password")
	}
	if f.UncompressedSize64 > freeRatio && f.UncompressedSize64/maxRatio > f.CompressedSize64 {
		return Errorf(Bomb, "it unpacks to more than %d times its size", maxRatio)
	}
	r, err := f.Open()
	if err != nil {
		return Errorf(Corrupt, "its part %s cannot be opened: %v", path.Base(name), err)
	}
	defer r.Close()
	x := &xmlReader{decoder: xml.NewDecoder(&partReader{r: r, left: &p.left})}
	for {
		token, err := x.next()
		if err == nil {
			root, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			err = fn(x, root)
		}
		var problem *Error
		if err != nil && !errors.As(err, &problem) {
			return Errorf(Corrupt, "its part %s is damaged: %v", path.Base(name), err)
		}
		return err
	}
}

// related returns the parts that a part names as related to it, by the last
// word of their type, such as styles.
func (p *docxPackage) related(part string) (map[string]string, error) {
	dir, base := path.Split(part)
	found := make(map[string]string)
	err := p.read(dir+"_rels/"+base+".rels", func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(e xml.StartElement) error {
			target := attr(e, "Target")
			if !strings.HasPrefix(target, "/") {
				target = path.Join(dir, target)
			}
			found[path.Base(attr(e, "Type"))] = strings.TrimPrefix(target, "/")
			return x.skip()
		})
	})
	return found, err
}

// A partReader unpacks a part as far as the limits allow.
type partReader struct {
	r    io.Reader
	read int64
	left *int64
}

func (p *partReader) Read(buf []byte) (int, error) {
	n, err := p.r.Read(buf)
	p.read += int64(n)
	*p.left -= int64(n)
	switch {
	case p.read > maxPart:
		return 0, Errorf(TooLarge, "it holds a part of more than %d MiB", maxPart>>20)
	case *p.left < 0:
		return 0, Errorf(TooLarge, "it unpacks to more than %d MiB", maxPackage>>20)
	}
	return n, err
}

// An xmlReader reads elements from outside in: a function that is given an
// element's start reads it to its end. No document type is accepted, so no
// entities, and no depth that a document has no use for.
type xmlReader struct {
	decoder *xml.Decoder
	depth   int
}

func (x *xmlReader) next() (xml.Token, error) {
	token, err := x.decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token.(type) {
	case xml.StartElement:
		x.depth++
	case xml.EndElement:
		x.depth--
	case xml.Directive:
		return nil, Errorf(Corrupt, "it declares a document type, which no Word document does")
	}
	if x.depth > maxXMLDepth {
		return nil, Errorf(Bomb, "its elements are nested more than %d deep", maxXMLDepth)
	}
	return token, nil
}

// children calls fn for each child of the element that was just started, and
// reads that element to its end.
func (x *xmlReader) children(fn func(xml.StartElement) error) error {
	for {
		token, err := x.next()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := fn(t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip reads the element that was just started to its end.
func (x *xmlReader) skip() error {
	for end := x.depth - 1; x.depth > end; {
		if _, err := x.next(); err != nil {
			return err
		}
	}
	return nil
}

// text returns the characters of the element that was just started, its
// children's left out.
func (x *xmlReader) text() (string, error) {
	var text strings.Builder
	for {
		token, err := x.next()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			if err := x.skip(); err != nil {
				return "", err
			}
		case xml.EndElement:
			return text.String(), nil
		}
	}
}

// attr returns an attribute by its local name, or "".
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// isOn reports the value of an element that is true by standing there.
func isOn(e xml.StartElement) bool {
	switch attr(e, "val") {
	case "0", "false", "off":
		return false
	}
	return true
}
