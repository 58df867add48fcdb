// Package web holds the user interface: one page of plain HTML, CSS and
// JavaScript modules, which needs no build and loads nothing from elsewhere.
package web

import (
	"embed"
	"io/fs"
)

//go:embed page
var files embed.FS

// Files returns the user interface, with index.html at its root.
func Files() fs.FS {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the path is a constant and valid
	}
	return page
}
