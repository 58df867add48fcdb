package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// types are those of the files of a user interface. The system's own table can be wrong (Windows keeps it in the registry).
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".ico": "image/x-icon", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

// An asset is a file of the user interface.
type asset struct {
	body []byte
	tag  string
}

// ui serves the user interface from memory: all that is not a route.
type ui map[string]asset

func newUI(files fs.FS, log *slog.Logger) ui {
	u := ui{}
	if files == nil {
		return u
	}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		sum := sha256.Sum256(body)
		u[name] = asset{body: body, tag: strconv.Quote(hex.EncodeToString(sum[:8]))}
		return err
	})
	if err != nil {
		log.Error("the user interface cannot be read", "err", err)
	}
	return u
}

// serve answers what no route takes: a file, the page itself where a browser
// navigates to one of its addresses, or a problem.
func (u ui) serve(c *gin.Context) {
	name := strings.TrimPrefix(path.Clean(c.Request.URL.Path), "/")
	if reserved(name) {
		refuse(c, errNoRoute)
		return
	}
	if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		refuse(c, errMethod)
		return
	}
	file, ok := u[name]
	if !ok && path.Ext(name) == "" && (name == "" || strings.Contains(c.GetHeader("Accept"), "text/html")) {
		name = "index.html"
		file, ok = u[name]
	}
	if !ok {
		refuse(c, errNoRoute)
		return
	}
	c.Header("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") { // their names hold a hash of their content
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
	}
	c.Header("ETag", file.tag)
	c.Header("Content-Type", types[path.Ext(name)])
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(file.body))
}

// reserved reports whether a path belongs to programs, where a page must never stand in for an answer.
func reserved(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first == "api" || first == "v1" || first == "mcp" || first == "metrics"
}
