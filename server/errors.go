package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

const problemType = "application/problem+json"

// A problem is an error answer (RFC 9457). It is an error, so that handlers return it.
type problem struct {
	Type   string       `json:"type" doc:"always about:blank: title and code say what it is"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail" doc:"a sentence for a person"`
	Code   string       `json:"code" pattern:"^[a-z][a-z0-9_.-]*$" doc:"a stable word for programs"`
	Errors []fieldError `json:"errors,omitempty" doc:"every field that is wrong"`
	Answer *queryAnswer `json:"answer,omitempty" doc:"of a question: what was answered before the error"`
	// Documents are those of an upload that were taken before the error.
	Documents []document `json:"documents,omitempty"`

	retryAfter int    // seconds
	spanish    string // the detail; "" where programs alone meet it
}

// A fieldError says what is wrong with one field of a request. It does not echo the value.
type fieldError struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

func newProblem(status int, code, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

func (p *problem) Error() string { return p.Detail }

// GetStatus is for huma.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders is for huma.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	return h
}

// Problems that need no cause.
var (
	errMethod   = newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this address does not take that method")
	errNoRoute  = newProblem(http.StatusNotFound, "no_such_route", "there is nothing at this address; GET /openapi.json says what there is")
	errHost     = newProblem(http.StatusMisdirectedRequest, "foreign_host", "this server is not known by that name; use localhost, or name it in the configuration")
	errOrigin   = newProblem(http.StatusForbidden, "cross_origin", "a page of another origin may not do this")
	errTooLarge = newProblem(http.StatusRequestEntityTooLarge, "too_large", "the body of the request is larger than 1 MiB").
			es("la petición ocupa más de 1 MiB")
	errMedia = newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "the body must be application/json")
	errSlow  = newProblem(http.StatusRequestTimeout, "timeout", "the body of the request did not arrive in time").
			es("la petición no ha llegado entera a tiempo")
	errBusy = newProblem(http.StatusTooManyRequests, "busy", "too many questions are being answered; try again in a moment").after(5).
		es("se están respondiendo demasiadas preguntas; vuelve a intentarlo dentro de un momento")
	errInternal = newProblem(http.StatusInternalServerError, "internal", "something went wrong inside the server; its log has the details under this request's id").
			es("algo ha fallado en el servidor; su registro tiene los detalles, con el identificador de esta petición")
)

func (p *problem) after(seconds int) *problem {
	p.retryAfter = seconds
	return p
}

// es gives the detail in Spanish, for those that a person meets.
func (p *problem) es(detail string) *problem {
	p.spanish = detail
	return p
}

// in is p with its detail in a language: es, or else English.
func (p *problem) in(lang string) *problem {
	if lang != "es" || p.spanish == "" {
		return p
	}
	said := *p
	said.Detail = p.spanish
	return &said
}

// codes are the words for what huma refuses, by status.
var codes = map[int]string{
	http.StatusBadRequest: "bad_request", http.StatusNotFound: "not_found", http.StatusRequestTimeout: "timeout",
	http.StatusRequestEntityTooLarge: "too_large", http.StatusUnsupportedMediaType: "unsupported_media_type",
	http.StatusUnprocessableEntity: "invalid",
}

// invalid is the problem for a request that huma refused, with the reasons.
func invalid(status int, message string, errs []error) *problem {
	if status >= http.StatusInternalServerError {
		return errInternal
	}
	p := newProblem(status, cmp.Or(codes[status], "refused"), message)
	var reasons []string
	for _, err := range errs {
		reason := fieldError{Message: err.Error()}
		var d huma.ErrorDetailer
		if errors.As(err, &d) {
			reason = fieldError{Location: d.ErrorDetail().Location, Message: d.ErrorDetail().Message}
		}
		p.Errors = append(p.Errors, reason)
		reasons = append(reasons, strings.TrimSpace(reason.Location+" "+reason.Message))
	}
	if len(reasons) > 0 {
		p.Detail = strings.Join(reasons, "; ")
	}
	return p
}

// asProblem is the answer to an error, in the reader's language. An error that is not
// in the table is the server's fault: the log gets its cause, the answer does not.
func asProblem(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	p := problemOf(err)
	if p == errInternal {
		traceOf(ctx).cause = err
	}
	return p.in(traceOf(ctx).language)
}

// problemOf is the table from the errors of the domain to answers.
func problemOf(err error) *problem {
	var p *problem
	var file *parse.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, ingest.ErrNotFound), errors.Is(err, retrieval.ErrNotFound):
		return newProblem(http.StatusNotFound, "not_found", "there is nothing with that id").es("no hay nada con ese identificador")
	case errors.As(err, &file):
		return newProblem(http.StatusUnprocessableEntity, string(file.Code), cmp.Or(file.Detail, "the file cannot be read")).
			es(ingest.Problem{Code: file.Code}.In("es"))
	case errors.As(err, &large):
		size := strconv.FormatInt(large.Limit, 10)
		return newProblem(http.StatusRequestEntityTooLarge, "too_large", "a file is larger than the server takes: "+size+" bytes").
			es("un archivo es mayor que lo que admite el servidor: " + size + " bytes")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	case errors.Is(err, retrieval.ErrUnavailable), errors.Is(err, answer.ErrUnavailable):
		return newProblem(http.StatusServiceUnavailable, "engine_unavailable", "the model server is not available now; `acervo doctor` says why").after(30).
			es("el servidor de modelos no está disponible ahora; `acervo doctor` dice por qué")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusServiceUnavailable, "interrupted", "the request ended before its answer").after(1).
			es("la petición terminó antes que su respuesta")
	default:
		return errInternal
	}
}

// refuse answers with a problem and ends the handling of the request.
func refuse(c *gin.Context, err error) {
	var p *problem
	if !errors.As(asProblem(c.Request.Context(), err), &p) {
		return
	}
	for name, values := range p.GetHeaders() {
		c.Header(name, values[0])
	}
	c.Header("Content-Type", problemType) // gin keeps one that is there
	c.AbortWithStatusJSON(p.Status, p)
}
