package server

import (
	"context"
	"time"

	"github.com/acervo-kb/acervo/retrieval/answer"
)

// Chats is an [answer.Chats], or a test's.
type Chats interface {
	// History returns at most limit of the last messages, oldest first; none for a chat that does not exist.
	History(id string, limit int) ([]answer.Message, error)
	Append(id string, messages ...answer.Message) error
	List() ([]answer.Chat, error)
	Get(id string) (answer.Chat, error)
	Delete(id string) error
}

type chatSummary struct {
	ID      string    `json:"id"`
	Title   string    `json:"title" doc:"its first question, shortened"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

type chatList struct {
	Chats []chatSummary `json:"chats" nullable:"false"`
}

type conversation struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Messages []message `json:"messages" nullable:"false"`
}

type message struct {
	Role    string `json:"role" enum:"user,assistant"`
	Content string `json:"content"`
}

type oneChat struct {
	ID string `path:"id"`
}

func (s *server) chats(context.Context, *struct{}) (chatList, error) {
	found, err := s.Chats.List()
	views := make([]chatSummary, len(found))
	for i, c := range found {
		views[i] = chatSummary{ID: c.ID, Title: c.Title, Created: c.Created, Updated: c.Updated}
	}
	return chatList{views}, err
}

func (s *server) chat(_ context.Context, in *oneChat) (conversation, error) {
	c, err := s.Chats.Get(in.ID)
	view := conversation{ID: c.ID, Title: c.Title, Created: c.Created, Updated: c.Updated, Messages: make([]message, len(c.Messages))}
	for i, m := range c.Messages {
		view.Messages[i] = message{m.Role, m.Content}
	}
	return view, err
}

func (s *server) forget(_ context.Context, in *oneChat) (none, error) {
	return none{}, s.Chats.Delete(in.ID)
}
