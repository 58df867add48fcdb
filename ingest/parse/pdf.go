package parse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/klippa-app/go-pdfium"
	pdfium_errors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// wasmPages bounds the memory of pdfium in pages of 64 KiB: 512 MiB, which is
// enough to draw a scan of 81 megapixels in colour; 256 are not. What a bomb
// wants beyond it ends as an error of that one document.
const wasmPages = 8192

// PDFConfig says how to make a [PDF].
type PDFConfig struct {
	// CacheDir keeps the compiled engine, some 21 MB: with it a start takes
	// 0.1 s instead of 3 to 20 s. It is made with mode 0700 if it is not there.
	CacheDir string
	// Refused, if not nil, is called with the error that stands if nothing
	// better is found, before a file is given to the second engine, which can
	// hang or kill the process.
	Refused func(*Error)
}

// PDF reads PDF documents with pdfium, compiled to WebAssembly: what a hostile
// document breaks is a sandbox of its own, made new for each document. It is
// safe for concurrent use.
type PDF struct {
	pool    pdfium.Pool
	cache   wazero.CompilationCache
	refused func(*Error)
}

// NewPDF compiles the engine, or loads it from the cache. ctx must outlive the PDF.
func NewPDF(ctx context.Context, cfg PDFConfig) (*PDF, error) {
	p := &PDF{refused: cfg.Refused}
	if cfg.CacheDir != "" {
		if err := os.MkdirAll(cfg.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("cache of the PDF engine: %w", err)
		}
		cache, err := wazero.NewCompilationCacheWithDir(cfg.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("cache of the PDF engine: %w", err)
		}
		p.cache = cache
	}
	var err error
	if p.pool, err = startPdfium(ctx, p.cache); err != nil && p.cache != nil {
		// A cache that a crash or a full disk has spoilt costs time, not documents.
		_ = p.cache.Close(ctx)
		p.cache = nil
		p.pool, err = startPdfium(ctx, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("PDF engine: %w", err)
	}
	return p, nil
}

func startPdfium(ctx context.Context, cache wazero.CompilationCache) (pdfium.Pool, error) {
	// WithCloseOnContextDone would make every call 2.7 times slower: what
	// hangs is ended with its process. The module needs exception handling.
	cfg := wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithMemoryLimitPages(wasmPages).
		WithCloseOnContextDone(false)
	if cache != nil {
		cfg = cfg.WithCompilationCache(cache)
	}
	return webassembly.Init(webassembly.Config{
		Context: withMemory(ctx), MaxTotal: 4, RuntimeConfig: cfg,
		// Without a file system of its own the sandbox would be given that of the host.
		FSConfig: wazero.NewFSConfig(),
		Stdout:   os.Stderr, Stderr: os.Stderr,
	})
}

// Close frees the engine.
func (p *PDF) Close() error {
	err := p.pool.Close()
	if p.cache != nil {
		err = errors.Join(err, p.cache.Close(context.Background()))
	}
	return err
}

// Parse is the [Parser] of PDF documents.
func (p *PDF) Parse(ctx context.Context, f File, progress Progress) (Content, error) {
	if len(f.Data) == 0 {
		return Content{}, Errorf(Empty, "it has no bytes")
	}
	if jbig2Bomb(f.Data) {
		return Content{}, Errorf(Bomb, "it holds a picture of more than %d megapixels", maxJBIG2>>20)
	}
	d, err := p.open(ctx, f.Data)
	var refused *Error
	if errors.As(err, &refused) && refused.Code == Corrupt {
		return p.rescue(ctx, f.Data, refused)
	}
	if err != nil {
		return Content{}, err
	}
	defer d.close()
	return d.read(ctx, progress)
}

// rescue gives a document that pdfium does not open to the second engine.
func (p *PDF) rescue(ctx context.Context, data []byte, refused *Error) (Content, error) {
	if p.refused != nil {
		p.refused(refused)
	}
	content, err := secondOpinion(ctx, data, maxSecondPages)
	if err != nil {
		return Content{}, refused
	}
	return content, nil
}

// read reads the pages one by one. One that cannot be read does not stop the others.
func (d *pdfDocument) read(ctx context.Context, progress Progress) (Content, error) {
	var pages []pdfPage
	for n := 1; n <= d.pages; n++ {
		if err := ctx.Err(); err != nil {
			return Content{}, err
		}
		page, err := d.page(n)
		if d.trapped {
			return Content{}, Errorf(Bomb, "page %d needs more memory than a document may use", n)
		}
		page.failed = err != nil
		pages = append(pages, page)
		if progress != nil {
			progress(n, d.pages, "page")
		}
	}
	return writePages(d.title(), pages)
}

// A pdfDocument is a document open in an engine that nothing else uses.
type pdfDocument struct {
	engine  pdfium.Pdfium
	ref     references.FPDF_DOCUMENT
	pages   int
	trapped bool // the engine is broken and must not be called again
}

func (p *PDF) open(ctx context.Context, data []byte) (*pdfDocument, error) {
	engine, err := p.pool.GetInstanceWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("PDF engine: %w", err)
	}
	d := &pdfDocument{engine: engine}
	opened, err := engine.OpenDocument(&requests.OpenDocument{FileReader: bytes.NewReader(data), FileReaderSize: int64(len(data))})
	if err := d.check(err); err != nil {
		d.close()
		return nil, err
	}
	d.ref = opened.Document
	count, err := engine.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: d.ref})
	if err := d.check(err); err != nil {
		d.close()
		return nil, err
	}
	d.pages = count.PageCount
	return d, nil
}

// check turns an error of pdfium into one fit for a user.
func (d *pdfDocument) check(err error) error {
	switch {
	case err == nil:
		return nil
	case d.failed(err):
		return Errorf(Bomb, "it needs more memory than a document may use")
	case errors.Is(err, pdfium_errors.ErrPassword):
		return Errorf(Encrypted, "it opens with a password only")
	case errors.Is(err, pdfium_errors.ErrSecurity):
		return Errorf(Encrypted, "its encryption is not known")
	default:
		return Errorf(Corrupt, "it is not a PDF document, or a damaged one")
	}
}

// failed notes whether err is a trap of the sandbox, mostly the memory limit.
// wazero's type of it is not exported.
func (d *pdfDocument) failed(err error) bool {
	d.trapped = d.trapped || strings.Contains(err.Error(), "wasm error") || strings.Contains(err.Error(), "module closed")
	return d.trapped
}

// close frees the document and its engine, by force where it is broken.
func (d *pdfDocument) close() {
	if d.trapped {
		_ = d.engine.Kill()
		return
	}
	_ = d.engine.Close()
}

// title is the title that the document gives itself, if it is one.
func (d *pdfDocument) title() string {
	meta, err := d.engine.FPDF_GetMetaText(&requests.FPDF_GetMetaText{Document: d.ref, Tag: "Title"})
	if err != nil || !isTitle(meta.Value) {
		return ""
	}
	return meta.Value
}

func (d *pdfDocument) at(n int) requests.Page {
	return requests.Page{ByIndex: &requests.PageByIndex{Document: d.ref, Index: n - 1}}
}
