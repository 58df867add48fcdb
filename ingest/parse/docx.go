package parse

import "context"

func parseDOCX(_ context.Context, f File, _ Progress) (Content, error) {
	return Content{}, Errorf(Unsupported, "it is a Word document")
}
