package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
	tiktokenloader "github.com/pkoukk/tiktoken-go-loader"
)

// newTokenCounter returns a function that counts the tokens of a text as
// cl100k_base has them, safe for concurrent use. Its vocabulary is in the
// program: the library's own way is to download it.
func newTokenCounter() (func(string) int, error) {
	tiktoken.SetBpeLoader(tiktokenloader.NewOfflineLoader())
	encoding, err := tiktoken.GetEncoding(tiktoken.MODEL_CL100K_BASE)
	if err != nil {
		return nil, fmt.Errorf("load the token vocabulary: %w", err)
	}
	return func(text string) int {
		n := 0
		for text != "" {
			end := countable(text)
			n += len(encoding.EncodeOrdinary(text[:end]))
			text = text[end:]
		}
		return n
	}, nil
}

// longestRun bounds what the library sees at once, in bytes: its time is
// quadratic in the length of a run without spaces, or of one of spaces only.
const longestRun = 512

// countable returns the length of a beginning of text that can be counted by
// itself: up to a space between two words, where tokens never join, or up to
// longestRun bytes of a run that has none, which costs a token of accuracy.
func countable(text string) int {
	if len(text) <= longestRun {
		return len(text)
	}
	end := longestRun
	for i := end; i > end/2; i = strings.LastIndexByte(text[:i], ' ') {
		if text[i] == ' ' && text[i-1] > ' ' && text[i+1] > ' ' {
			return i
		}
	}
	for !utf8.RuneStart(text[end]) && end > longestRun-utf8.UTFMax {
		end--
	}
	return end
}
