package parse

import "context"

// noPDF stands for the reader of PDF files.
func noPDF(context.Context, File, Progress) (Content, error) {
	return Content{}, Errorf(Unsupported, "no reader of PDF files here")
}
