package server

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/acervo-kb/acervo/ingest"
)

const uploadPath = "/api/v1/documents"

type uploaded struct {
	Documents []document `json:"documents" nullable:"false"`
}

func uploadOperation(api huma.API) huma.Operation {
	schemas := api.OpenAPI().Components.Schemas
	op := operation("POST "+uploadPath, "Add files to the folder")
	op.Description = "`collection` comes before the files. A file whose content is known already is answered in its present state."
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
		Type: huma.TypeObject,
		Properties: map[string]*huma.Schema{
			"collection": {Type: huma.TypeString, Description: "a first-level subfolder; none for the folder itself"},
			"file":       {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		},
		Required: []string{"file"},
	}}}}
	op.Responses = problems(api, 400, 408, 413, 415, 422)
	op.Responses["202"] = &huma.Response{Description: "Taken", Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemas.Schema(reflect.TypeFor[uploaded](), true, "")},
	}}
	return op
}

// upload hands each file of the form to the corpus as it arrives: nothing is
// kept in memory or written twice.
func (s *server) upload(c *gin.Context) {
	control := http.NewResponseController(c.Writer)
	body := &patient{r: c.Request.Body, control: control}
	c.Request.Body = io.NopCloser(body)
	form, err := c.Request.MultipartReader()
	if err != nil {
		refuse(c, newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "the body must be multipart/form-data"))
		return
	}
	taken, err := s.take(c.Request.Context(), form, readerLanguage(c.GetHeader("Accept-Language")))
	if err == nil {
		c.JSON(http.StatusAccepted, uploaded{list(taken)})
		return
	}
	var p *problem
	if errors.As(asProblem(c.Request.Context(), err), &p) && len(taken) > 0 {
		partly := *p
		partly.Documents = taken
		err = &partly
	}
	s.refuseUpload(c, control, body, err)
}

// refuseUpload answers before the body has come, then reads some of it on, so
// that a client that writes all before it reads sees the answer.
func (s *server) refuseUpload(c *gin.Context, control *http.ResponseController, body io.Reader, err error) {
	_ = control.EnableFullDuplex()
	c.Header("Connection", "close")
	refuse(c, err)
	_ = control.Flush()
	_, _ = io.CopyN(io.Discard, body, s.MaxUpload)
}

// take adds the files of a form, and returns those it took also when one is refused.
func (s *server) take(ctx context.Context, form *multipart.Reader, lang string) ([]document, error) {
	var taken []document
	var collection string
	for {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) && len(taken) > 0 {
			return taken, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, newProblem(http.StatusUnprocessableEntity, "invalid", "the form holds no field named file").es("no se ha enviado ningún archivo")
		}
		if err != nil {
			return taken, unreadable(err)
		}
		switch part.FormName() {
		case "collection":
			if len(taken) > 0 {
				return taken, newProblem(http.StatusBadRequest, "bad_request", "the field collection must come before the files")
			}
			if collection, err = collectionOf(part); err != nil {
				return taken, err
			}
		case "file":
			d, err := s.add(ctx, collection, part)
			if err != nil {
				return taken, err
			}
			taken = append(taken, documentOf(d, lang))
		default:
			return taken, newProblem(http.StatusUnprocessableEntity, "invalid", "the form may hold the fields collection and file, no other")
		}
	}
}

// collectionOf reads the name of a collection: empty, or one segment of a path.
func collectionOf(part io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(part, maxName+1))
	if err != nil {
		return "", unreadable(err)
	}
	name := string(raw)
	if name == "" || segment(name) {
		return name, nil
	}
	return "", newProblem(http.StatusUnprocessableEntity, "bad_name", "a collection is the name of one folder, without / and \\ and control characters, and does not begin with a dot").
		es("una colección es el nombre de una carpeta, sin / ni \\ ni caracteres de control, y no empieza por punto")
}

// add hands a file to the corpus, as it was named by the client. [multipart.Part.FileName]
// would quietly cut a path down to its last part; a name that is a path is refused.
func (s *server) add(ctx context.Context, collection string, part *multipart.Part) (ingest.Document, error) {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || !segment(params["filename"]) {
		return ingest.Document{}, newProblem(http.StatusUnprocessableEntity, "bad_name",
			"a file needs a name, without / and \\ and control characters, that does not begin with a dot").
			es("un archivo necesita un nombre, sin / ni \\ ni caracteres de control, que no empiece por punto")
	}
	d, err := s.Corpus.Add(ctx, collection, params["filename"], http.MaxBytesReader(nil, part, s.MaxUpload))
	if err != nil {
		return d, asUpload(err)
	}
	return d, nil
}

// asUpload tells an upload that broke off from one that could not be kept.
func asUpload(err error) error {
	var late net.Error
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &late) && late.Timeout() {
		return unreadable(err)
	}
	return err
}

// maxName is what file systems take, in bytes.
const maxName = 255

// segment reports whether name can only be one visible name within a folder, on every system.
func segment(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && name[0] != '.' &&
		filepath.IsLocal(name) && !strings.ContainsAny(name, `/\`) && !strings.ContainsFunc(name, unicode.IsControl)
}

// A patient reader reads an upload for as long as it goes on arriving. The
// deadline holds for a read alone: left standing it would end the request's context.
type patient struct {
	r       io.Reader
	control *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(uploadWait)) // not every writer of a test can
	n, err := p.r.Read(b)
	_ = p.control.SetReadDeadline(time.Time{})
	return n, err
}
