package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/acervo-kb/acervo/retrieval"
)

// A dataset is XQuAD and the haystack it is hidden in.
type dataset struct {
	haystack   []document
	paragraphs map[string][]document // by language
	questions  map[string][]question // by language
}

type document struct {
	source retrieval.Source
	chunks []retrieval.Chunk
}

// A question was asked about a paragraph, which has the same name in every language.
type question struct{ text, paragraph string }

func load(o options) (*dataset, error) {
	set := &dataset{paragraphs: map[string][]document{}, questions: map[string][]question{}}
	for _, language := range []string{"es", "en"} {
		passages, err := loadPassages(filepath.Join(o.data, "nomiracl", language+".passages.jsonl"), language, o.haystack)
		if err != nil {
			return nil, err
		}
		set.haystack = append(set.haystack, passages...)
		if err := set.loadXQuAD(filepath.Join(o.data, "xquad", "xquad."+language+".json"), language, o); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// newDocument makes a source of passages that share a title.
func newDocument(id, title, language string, texts []string) document {
	d := document{source: retrieval.Source{ID: id, Title: title, Paths: []string{"eval/" + id + ".txt"}, Language: language}}
	for n, text := range texts {
		d.chunks = append(d.chunks, retrieval.Chunk{
			ID: fmt.Sprintf("%s.%d", id, n), N: n, Text: text, Title: title, Language: language, Tokens: len(text) / 4,
			Location: retrieval.Location{Kind: "chars", Start: 0, End: len([]rune(text))},
		})
	}
	return d
}

// loadPassages reads NoMIRACL's passages; those of one article are one source.
func loadPassages(path, language string, limit int) ([]document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var order []string
	texts, titles := map[string][]string{}, map[string]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 0; n < limit && lines.Scan(); n++ {
		var p struct{ DocID, Title, Text string }
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		article, _, _ := strings.Cut(p.DocID, "#")
		id := "nomiracl-" + language + "-" + article
		if texts[id] == nil {
			order = append(order, id)
		}
		texts[id], titles[id] = append(texts[id], p.Text), p.Title
	}
	var out []document
	for _, id := range order {
		out = append(out, newDocument(id, titles[id], language, texts[id]))
	}
	return out, lines.Err()
}

func (set *dataset) loadXQuAD(path, language string, o options) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var file struct {
		Data []struct {
			Paragraphs []struct {
				Context string
				QAs     []struct{ Question string }
			}
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for a, article := range file.Data {
		if a < o.skip || a-o.skip >= o.articles {
			continue
		}
		for p, paragraph := range article.Paragraphs {
			name := fmt.Sprintf("%d-%d", a, p)
			set.paragraphs[language] = append(set.paragraphs[language], newDocument("xquad-"+language+"-"+name, "", language, []string{paragraph.Context}))
			for _, qa := range paragraph.QAs {
				set.questions[language] = append(set.questions[language], question{qa.Question, name})
			}
		}
	}
	return nil
}
