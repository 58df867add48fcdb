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
// no recover catches. Of more than so many pages it reads the first, and says so.
func secondOpinion(ctx context.Context, data []byte, most int) (content Content, err error) {
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
	for n := 1; n <= min(reader.NumPage(), most); n++ {
		if err := ctx.Err(); err != nil {
			return Content{}, err
		}
		text, err := plainText(reader, n)
		pages = append(pages, pdfPage{number: n, notes: []string{cleanPDF(text)}, failed: err != nil})
	}
	content, err = writePages("", pages)
	if claimed := reader.NumPage(); claimed > most {
		content.Warnings = append(content.Warnings, fmt.Sprintf("only the first %d of its %d pages were read", most, claimed))
	}
	return content, err
}

func plainText(reader *pdf.Reader, n int) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("second PDF engine: %v", p)
		}
	}()
	return reader.Page(n).GetPlainText(nil)
}
