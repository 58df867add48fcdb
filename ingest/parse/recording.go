package parse

import (
	"bytes"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// HeadBytes is how much of a file tells whether it is a recording.
const HeadBytes = 4096

// IsRecording reports whether a file that begins with head is sound or a film,
// so that the rest of it need not be read to know how it is to be read.
func IsRecording(head []byte) bool {
	head = head[:min(len(head), HeadBytes)]
	// "ID3" and "OggS" are words, too; a recording of silence has the zeros of text in UTF-16.
	isText := !bytes.Contains(head, []byte{0}) && !isBinary(head)
	return !isText && isRecording(soundType(bare(mimetype.Detect(head).String())))
}

// isRecording reports whether a type is one of sound or film. Music written in notes is not heard.
func isRecording(mime string) bool {
	family, _, _ := strings.Cut(mime, "/")
	return (family == "audio" || family == "video") && mime != "audio/midi"
}

// soundType gives Ogg that tells no more of itself the type that players know.
func soundType(mime string) string {
	if mime == "application/ogg" {
		return "audio/ogg"
	}
	return mime
}

// isBinaryName reports whether files of a name's ending are never text: what is text under it is damaged.
func isBinaryName(ext string) bool {
	switch ext {
	case ".pdf", ".docx",
		".mp3", ".m4a", ".m4b", ".aac", ".ogg", ".oga", ".opus", ".flac", ".wav", ".wma",
		".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi":
		return true
	}
	return false
}
