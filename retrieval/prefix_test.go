package retrieval

import "testing"

func TestPrefixesOf(t *testing.T) {
	var (
		none    = Prefixes{}
		nomic   = Prefixes{Query: "search_query: ", Passage: "search_document: "}
		e5      = Prefixes{Query: "query: ", Passage: "passage: "}
		english = Prefixes{Query: "Represent this sentence for searching relevant passages: "}
	)
	tests := map[string]Prefixes{
		"nomic-embed-text":                               nomic,
		"nomic-embed-text:v1.5":                          nomic,
		"nomic-embed-text-v2-moe:latest":                 nomic,
		"hf.co/nomic-ai/nomic-embed-text-v1.5-GGUF:Q8_0": nomic,
		"localhost:5000/library/nomic-embed-text:latest": nomic,
		`C:\models\nomic-embed-text-v1.5.Q8_0.gguf`:      nomic,
		"multilingual-e5-small":                          e5,
		"hf.co/x/multilingual-e5-small:q8":               e5,
		"intfloat/multilingual-e5-large":                 e5,
		"jeffh/intfloat-multilingual-e5-base:f16":        e5,
		"/models/multilingual_e5_small_q4.gguf":          e5,
		"e5-base-v2":                                     e5,
		"multilingual-e5-large-instruct":                 {Query: instruct + " "},
		"e5-mistral-7b-instruct":                         {Query: instruct + " "},
		"qwen3-embedding:0.6b":                           {Query: instruct},
		"hf.co/Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0":      {Query: instruct},
		"embeddinggemma:300m":                            {Query: "task: search result | query: ", Passage: "title: none | text: "},
		"mxbai-embed-large":                              english,
		"BAAI/bge-small-en-v1.5":                         english,
		"bge-large:335m":                                 english,
		"CompendiumLabs/bge-base-en-v1.5-gguf":           english,
		"snowflake-arctic-embed:335m":                    english,
		"Snowflake/snowflake-arctic-embed-m-v1.5":        english,
		"snowflake-arctic-embed2":                        {Query: "query: "},
		"Snowflake/snowflake-arctic-embed-l-v2.0":        {Query: "query: "},
		"bge-m3":                  none,
		"bge-m3:567m":             none,
		"bge-large-zh-v1.5":       none,
		"granite-embedding:278m":  none,
		"all-minilm":              none,
		"all-minilm:33m":          none,
		"paraphrase-multilingual": none,
		"stub-embed":              none,
		"e5/other:latest":         none,
		"":                        none,
	}
	for model, want := range tests {
		if got := PrefixesOf(model); got != want {
			t.Errorf("PrefixesOf(%q) = %+v, want %+v", model, got, want)
		}
	}
}
