package retrieval

import (
	"regexp"
	"strings"
)

// Prefixes are what a model wants before a text, by the text's role. No model
// server adds them, and a text without them is found far worse (nomic-embed-text
// loses 21 points of nDCG@10). They are part of the vector space: vectors made
// with other prefixes cannot be compared.
type Prefixes struct {
	Query   string
	Passage string
}

// PrefixesOf returns the prefixes of a model, known by its family: registry,
// folder, tag and file ending of the name do not matter. An unknown model has none.
func PrefixesOf(model string) Prefixes {
	name := family(model)
	for _, f := range families {
		if f.name.MatchString(name) {
			return f.prefixes
		}
	}
	return Prefixes{}
}

// family is the last part of a model's name, without its tag.
func family(model string) string {
	name := strings.ToLower(strings.ReplaceAll(model, `\`, "/"))
	name = name[strings.LastIndex(name, "/")+1:]
	name, _, _ = strings.Cut(name, ":")
	return strings.ReplaceAll(name, "_", "-")
}

const (
	represent = "Represent this sentence for searching relevant passages: "
	instruct  = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)

// families holds the words of each family's own model card; the first that matches counts.
// Families that want nothing (bge-m3, granite, all-minilm, paraphrase) are not listed.
var families = []struct {
	name     *regexp.Regexp
	prefixes Prefixes
}{
	{regexp.MustCompile(`nomic-embed-text`), Prefixes{Query: "search_query: ", Passage: "search_document: "}},
	{regexp.MustCompile(`embedding-?gemma`), Prefixes{Query: "task: search result | query: ", Passage: "title: none | text: "}},
	{regexp.MustCompile(`qwen3-embedding`), Prefixes{Query: instruct}},
	{regexp.MustCompile(`\be5-.*instruct`), Prefixes{Query: instruct + " "}},
	{regexp.MustCompile(`\be5\b`), Prefixes{Query: "query: ", Passage: "passage: "}},
	{regexp.MustCompile(`arctic-embed2|arctic-embed-[a-z]+-v2`), Prefixes{Query: "query: "}},
	{regexp.MustCompile(`arctic-embed`), Prefixes{Query: represent}},
	{regexp.MustCompile(`mxbai-embed`), Prefixes{Query: represent}},
	{regexp.MustCompile(`\bbge-(small|base|large)(-en|-gguf|$)`), Prefixes{Query: represent}},
}
