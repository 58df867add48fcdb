package parse

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ledongthuc/pdf"
)

// maxSecondPages bounds what a document may claim to the second engine, which
// takes the square of their number in time.
const maxSecondPages = 2000

// secondOpinion reads, with another engine, a document that pdfium refuses. It
// is the weaker reader: it can loop for ever, or end the process in a way that
// no recover catches.
func secondOpinion(ctx context.Context, data []byte) (content Content, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("second PDF engine: %v", p)
		}
	}()
	reader, err := pdf.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Content{}, err
	}
	var pages []pdfPage
	for n := 1; n <= min(reader.NumPage(), maxSecondPages); n++ {
		if err := ctx.Err(); err != nil {
			return Content{}, err
		}
		text, err := plainText(reader, n)
		pages = append(pages, pdfPage{number: n, notes: []string{cleanPDF(text)}, failed: err != nil})
	}
	return writePages("", pages)
}

func plainText(reader *pdf.Reader, n int) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("second PDF engine: %v", p)
		}
	}()
	return reader.Page(n).GetPlainText(nil)
}
