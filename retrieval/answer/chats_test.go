package answer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
)

func TestChats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chats.db")
	c, err := OpenChats(path)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first := []Message{{User, "¿Cuánto dura\nla garantía?"}, {Assistant, "Tres años [1]."}}
	must(c.Append("a", first...))
	must(c.Append("b", Message{User, strings.Repeat("ñ", 100)}))
	must(c.Append("a", Message{User, "¿Y el plazo?"}))
	must(c.Close())

	c, err = OpenChats(path)
	must(err)
	defer c.Close()
	list, err := c.List()
	must(err)
	if len(list) != 2 || list[0].ID != "a" || list[0].Title != "¿Cuánto dura la garantía?" || list[0].Messages != nil || list[1].Title != strings.Repeat("ñ", 79)+"…" {
		t.Errorf("%+v", list)
	}
	chat, err := c.Get("a")
	must(err)
	if diff := cmp.Diff(append(first, Message{User, "¿Y el plazo?"}), chat.Messages); diff != "" {
		t.Error(diff)
	}
	history, err := c.History("a", 2)
	must(err)
	if diff := cmp.Diff([]Message{{Assistant, "Tres años [1]."}, {User, "¿Y el plazo?"}}, history); diff != "" {
		t.Error(diff)
	}
	if history, err = c.History("new", 2); err != nil || history != nil {
		t.Errorf("%v %v", history, err)
	}
	must(c.Delete("a"))
	for what, err := range map[string]error{"get": second(c.Get("a")), "delete": c.Delete("a")} {
		if !errors.Is(err, retrieval.ErrNotFound) {
			t.Errorf("%s of one that is gone: %v", what, err)
		}
	}
	for _, id := range []string{"", "a/b", "ñ", strings.Repeat("a", 65)} {
		if err := c.Append(id, first...); !errors.Is(err, ErrChatID) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
