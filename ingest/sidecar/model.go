package sidecar

import (
	"os"
	"path/filepath"
	"slices"
)

// A Model is what the workers compute with: files of a repository of the Hugging Face Hub, at one commit.
type Model struct {
	Name     string // of its directory
	Repo     string
	Revision string // the commit
	Bytes    int64  // of all its files, about
	License  string
	// Needs are the files without which it cannot be used, the weights first; Takes are fetched as well, if they are there.
	Needs, Takes []string
	// sums are the SHA-256 of files, where two independent places say the same. Of the others the hub's word is taken.
	sums map[string]string
}

// whisperFiles are needed of a model of faster-whisper. Without tokenizer.json it would fetch another's.
var whisperFiles = []string{"model.bin", "config.json", "tokenizer.json"}

// WhisperSizes are the models that [Whisper] knows, the best first.
var WhisperSizes = []string{"large-v3", "large-v3-turbo", "medium", "small", "base", "tiny"}

// whispers are the commits that faster-whisper's own names stand for.
var whispers = map[string]Model{
	"tiny":   {Repo: "Systran/faster-whisper-tiny", Revision: "d90ca5fe260221311c53c58e660288d3deb8d356", Bytes: 78e6},
	"base":   {Repo: "Systran/faster-whisper-base", Revision: "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", Bytes: 148e6},
	"medium": {Repo: "Systran/faster-whisper-medium", Revision: "08e178d48790749d25932bbc082711ddcfdfbc4f", Bytes: 1531e6},
	"small": {
		Repo: "Systran/faster-whisper-small", Revision: "536b0662742c02347bc0e980a01041f333bce120", Bytes: 486e6,
		sums: map[string]string{"model.bin": "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"},
	},
	"large-v3": {Repo: "Systran/faster-whisper-large-v3", Revision: "edaa852ec7e145841d8ffdb056a99866b5f0a478", Bytes: 3090e6},
	"large-v3-turbo": { // the hub leads on from mobiuslabsgmbh, its name in faster-whisper
		Repo: "dropbox-dash/faster-whisper-large-v3-turbo", Revision: "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf", Bytes: 1621e6,
		sums: map[string]string{"model.bin": "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da"},
	},
}

// Whisper is the model of a size, in the format of CTranslate2. It reports whether there is one of that name.
func Whisper(size string) (Model, bool) {
	m, ok := whispers[size]
	m.Name, m.License = "whisper-"+size, "MIT"
	m.Needs, m.Takes = whisperFiles, []string{"preprocessor_config.json", "vocabulary.json", "vocabulary.txt"}
	return m, ok
}

// Surya is Surya 2 in llama.cpp's format: what it sees with, and what it writes with.
func Surya() Model {
	return Model{
		Name: "surya-2", Repo: "datalab-to/surya-ocr-2-gguf", Revision: "6a3a4c30e5e74446d4f8b6afd05b2f2da970f470", Bytes: 1471387552,
		License: "AI Pubs Open RAIL-M, modified",
		Needs:   []string{"surya-2.gguf", "surya-2-mmproj.gguf"},
		sums: map[string]string{
			"surya-2.gguf":        "1f18abe17b1ed8b4e47ee9b1ad0e274c93daf5efbb6b29a04ff1712e37051e05",
			"surya-2-mmproj.gguf": "98c0563673b1657ff6d021d1e5f04af06cbf61bb40c63ac613e8bb71b42fb2c0",
		},
	}
}

// Lacking are the needed files that dir does not have.
func (m Model) Lacking(dir string) []string { return lacking(dir, m.Needs) }

func lacking(dir string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}
