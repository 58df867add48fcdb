package chromem_test

import (
	"testing"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/chromem"
	"github.com/acervo-kb/acervo/retrieval/retrievaltest"
)

func TestStore(t *testing.T) {
	retrievaltest.TestVectorStore(t, func() retrieval.VectorStore { return chromem.New() })
}
