package server

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
)

// useProblems makes huma's errors ours. Huma offers only package variables for it.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return invalid(status, message, errs)
	}
})

// refusals are the answers of the walls that stand before every route.
var refusals = []int{http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusInternalServerError}

// newAPI undoes the defaults of huma that load scripts from elsewhere (DocsPath)
// and write the Host header into every answer (CreateHooks).
func newAPI(engine *gin.Engine, version string) huma.API {
	useProblems()
	cfg := huma.DefaultConfig("Acervo", version)
	cfg.Info.Description = "Cited answers from a folder of documents. Errors are RFC 9457 problems with a stable `code`."
	cfg.DocsPath, cfg.SchemasPath, cfg.CreateHooks = "", "", nil
	return humagin.New(engine, cfg)
}

// reply is an answer in the shape huma wants.
type reply[T any] struct{ Body T }

// rest registers a route, written "METHOD /path", that takes I and answers with
// a status and T as JSON (204: with nothing), or with one of the problems named.
func rest[I, T any](api huma.API, route string, status int, summary string, f func(context.Context, *I) (T, error), problems ...int) {
	op := operation(route, summary)
	op.DefaultStatus, op.Errors = status, append(problems, refusals...)
	if status == http.StatusNoContent {
		huma.Register(api, op, func(ctx context.Context, in *I) (*struct{}, error) {
			_, err := f(ctx, in)
			return nil, asProblem(ctx, err)
		})
		return
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*reply[T], error) {
		body, err := f(ctx, in)
		if err != nil {
			return nil, asProblem(ctx, err)
		}
		return &reply[T]{Body: body}, nil
	})
}

// stream registers a route whose handler writes its own answer.
func stream[I any](api huma.API, op huma.Operation, f func(context.Context, *I) (func(*gin.Context), error)) {
	huma.Register(api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		write, err := f(ctx, in)
		if err != nil {
			return nil, asProblem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(h huma.Context) { write(humagin.Unwrap(h)) }}, nil
	})
}

// raw registers a plain gin route and describes it as op says.
func raw(engine *gin.Engine, api huma.API, op huma.Operation, f gin.HandlerFunc) {
	api.OpenAPI().AddOperation(&op)
	// A parameter of gin is a whole segment: {n}.png is :n, and the handler looks for the ending.
	path := strings.NewReplacer("{n}.png", ":n", "{", ":", "}", "").Replace(op.Path)
	engine.Handle(op.Method, path, f)
}

// operation starts the description of a route.
// Bodies are read by [server.boundedBody], before huma: its own limits are off.
func operation(route, summary string) huma.Operation {
	method, path, _ := strings.Cut(route, " ")
	id := strings.NewReplacer("/api/v1/", "", "{", "", "}", "", ".", "-").Replace(path)
	return huma.Operation{
		Method: method, Path: path, Summary: summary, MaxBodyBytes: -1, BodyReadTimeout: -1,
		OperationID: strings.ToLower(method) + "-" + strings.ReplaceAll(strings.Trim(id, "/"), "/", "-"),
	}
}

// problems describes answers that are problems, for routes that huma does not write.
func problems(api huma.API, statuses ...int) map[string]*huma.Response {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "")
	responses := map[string]*huma.Response{}
	for _, status := range append(statuses, refusals...) {
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
	}
	return responses
}

// none is the body of an answer that has none.
type none struct{}
