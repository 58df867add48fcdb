package server

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/acervo-kb/acervo/ingest"
)

// sandbox is the policy for what others wrote: it may load nothing and run nothing.
const sandbox = "sandbox; default-src 'none'"

// inline are the types a browser may show in place. All others are downloads:
// documents are hostile, and HTML or SVG of this origin could call its API.
var inline = map[string]string{
	"application/pdf": "application/pdf", "image/png": "image/png", "image/jpeg": "image/jpeg",
	"text/plain": "text/plain; charset=utf-8", "text/markdown": "text/plain; charset=utf-8",
}

func contentOperation(api huma.API) huma.Operation {
	op := fileOperation(api, "GET /api/v1/documents/{id}/content", "The original bytes of a document; Range works", "*/*")
	op.Responses["206"] = &huma.Response{Description: "The part that was asked for"}
	op.Responses["416"] = &huma.Response{Description: "There is no such part"}
	return op
}

func pageOperation(api huma.API) huma.Operation {
	op := fileOperation(api, "GET /api/v1/documents/{id}/pages/{n}.png", "A page as an image", "image/png")
	op.Parameters = append(op.Parameters, &huma.Param{Name: "n", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeInteger}})
	return op
}

func fileOperation(api huma.API, route, summary, media string) huma.Operation {
	op := operation(route, summary)
	op.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}}
	op.Responses = problems(api, 404, 422)
	op.Responses["200"] = &huma.Response{Description: "The file", Content: map[string]*huma.MediaType{
		media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	op.Responses["304"] = &huma.Response{Description: "The client has it"}
	return op
}

// content answers with the original bytes. They never change under an id, but may be gone tomorrow.
func (s *server) content(c *gin.Context) {
	f, d, err := s.Corpus.Open(c.Param("id"))
	if err != nil {
		refuse(c, err)
		return
	}
	defer f.Close()
	kind, disposition := inline[d.MIME], "inline"
	if kind == "" {
		kind, disposition = downloadType(d.MIME), "attachment"
	}
	c.Header("Content-Type", kind)
	c.Header("Content-Disposition", disposition+"; "+filename(nameOf(d)))
	c.Header("Content-Security-Policy", sandbox)
	c.Header("Cache-Control", "private, no-cache")
	if d.SHA256 != "" { // of what is too large to be read nobody knows whether it is the same
		c.Header("ETag", strconv.Quote(d.SHA256))
	}
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, f)
}

// downloadType lets sound and moving pictures keep their type, which players need, and says nothing of the rest.
func downloadType(media string) string {
	base, _, err := mime.ParseMediaType(media)
	if err == nil && (strings.HasPrefix(base, "audio/") || strings.HasPrefix(base, "video/")) {
		return base
	}
	return "application/octet-stream"
}

// nameOf is the name of the document's file, or its title where it has none any more.
func nameOf(d ingest.Document) string {
	if len(d.Paths) == 0 {
		return d.Title
	}
	return path.Base(d.Paths[0])
}

// filename writes a name both ways of RFC 6266: plain for old programs, and in full.
func filename(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			return '_'
		}
		return r
	}, name)
	return fmt.Sprintf(`filename="%s"; filename*=UTF-8''%s`, plain, strings.ReplaceAll(url.QueryEscape(name), "+", "%20"))
}

// page answers with the image of a page, which never changes under an id.
func (s *server) page(c *gin.Context) {
	id := c.Param("id")
	digits, isPNG := strings.CutSuffix(c.Param("n"), ".png")
	n, err := strconv.Atoi(digits)
	if err != nil || !isPNG || n < 1 {
		refuse(c, newProblem(http.StatusNotFound, "no_such_page", "pages are numbered from 1, as in pages/1.png"))
		return
	}
	if _, err := s.Corpus.Get(id); err != nil {
		refuse(c, err)
		return
	}
	tag := strconv.Quote(id + "-" + strconv.Itoa(n))
	c.Header("ETag", tag)
	c.Header("Cache-Control", "private, max-age=86400")
	if c.GetHeader("If-None-Match") == tag {
		c.Status(http.StatusNotModified)
		return
	}
	image, err := s.Corpus.Page(c.Request.Context(), id, n)
	if err != nil {
		c.Writer.Header().Del("ETag")
		c.Header("Cache-Control", "no-store")
		refuse(c, err)
		return
	}
	c.Header("Content-Type", "image/png")
	c.Header("Content-Security-Policy", sandbox)
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(image))
}
