package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A Decoder decodes photos in a format that no [Reader] knows: HEIC, which is what an iPhone takes.
type Decoder interface {
	// Decode returns a photo as an upright JPEG. An error that is a [*parse.Error] is the photo's own fault; any
	// other says that the decoder cannot run now.
	Decode(ctx context.Context, photo []byte) ([]byte, error)
}

// maxPhoto is more bytes than a photo has.
const maxPhoto = 128 << 20

// A photoReader is a [Reader] that reads, in the place of a photo that needs a [Decoder], the picture that it makes
// of it. These are kept for a while under the ids of the photos.
type photoReader struct {
	Reader
	decoder Decoder
	kept    *pageCache
	log     *slog.Logger
}

// Parse returns the content of a photo's picture as the photo's own.
func (p *photoReader) Parse(ctx context.Context, root, path string, progress parse.Progress) (parse.Content, error) {
	f, err := p.legible(ctx, root, path)
	if err != nil {
		return parse.Content{}, err
	}
	content, err := p.Reader.Parse(ctx, f.root, f.path, progress)
	if f.mime != "" {
		content.MIME, content.SHA256 = f.mime, f.sha256
	}
	return content, err
}

// Page draws a page as a [Reader] does.
func (p *photoReader) Page(ctx context.Context, root, path string, n int) ([]byte, error) {
	f, err := p.legible(ctx, root, path)
	if err != nil {
		return nil, err
	}
	return p.Reader.Page(ctx, f.root, f.path, n)
}

// Scan draws a page for an [OCR] as a [Reader] does.
func (p *photoReader) Scan(ctx context.Context, root, path string, n, dpi int) ([]byte, error) {
	f, err := p.legible(ctx, root, path)
	if err != nil {
		return nil, err
	}
	return p.Reader.Scan(ctx, f.root, f.path, n, dpi)
}

// A legible file is what the Reader reads: the file itself, or the picture of the photo of that type and hash.
type legible struct{ root, path, mime, sha256 string }

func (p *photoReader) legible(ctx context.Context, root, path string) (legible, error) {
	mime, photo := readPhoto(root, path)
	if photo == nil {
		return legible{root: root, path: path}, nil
	}
	sum := sha256.Sum256(photo)
	id := found{sha256: hex.EncodeToString(sum[:])}.id()
	picture := p.kept.file(id, 1)
	f := legible{root: filepath.Dir(picture), path: filepath.Base(picture), mime: mime, sha256: hex.EncodeToString(sum[:])}
	if _, err := os.Stat(picture); err == nil {
		return f, nil
	}
	made, err := p.decoder.Decode(ctx, photo)
	var fault *parse.Error
	switch {
	case err == nil:
		return f, p.kept.write(id, 1, made)
	case ctx.Err() != nil || errors.As(err, &fault):
		return f, err
	}
	p.log.Warn("a photo cannot be decoded now", "path", path, "err", err)
	return f, parse.Errorf(parse.EngineMissing, "it is a HEIC photo, and its decoder is missing or does not run")
}

// readPhoto reads a photo that needs a decoder. Of another file, and of one that cannot be read, it returns nothing:
// the Reader says why.
func readPhoto(root, path string) (mime string, photo []byte) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return "", nil
	}
	defer func() { _ = dir.Close() }()
	file, err := dir.OpenFile(filepath.FromSlash(path), os.O_RDONLY|careful, 0)
	if err != nil {
		return "", nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPhoto {
		return "", nil
	}
	head := make([]byte, parse.HEICHead)
	if _, err := io.ReadFull(file, head); err != nil {
		return "", nil
	}
	if mime = parse.HEICType(head); mime == "" {
		return "", nil
	}
	rest, err := io.ReadAll(io.LimitReader(file, maxPhoto))
	if err != nil {
		return "", nil
	}
	return mime, bytes.Join([][]byte{head, rest}, nil)
}
