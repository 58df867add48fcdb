package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/acervo-kb/acervo/retrieval"
)

// ErrChatID means that an id is not fit for a conversation.
var ErrChatID = errors.New("a conversation's id is 1 to 64 letters, digits, - and _")

// A Chat is a saved conversation.
type Chat struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"` // its first question, shortened
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Messages []Message `json:"messages,omitempty"` // oldest first; left out in a list
}

// Chats keeps conversations in a bbolt file of its own: one bucket, chat id -> [Chat] as JSON.
type Chats struct {
	db *bbolt.DB
}

var (
	chatsBucket = []byte("chats")
	chatID      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// maxTitle is in characters.
const maxTitle = 80

// OpenChats opens the file at path, or creates it.
func OpenChats(path string) (*Chats, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s is in use by another process", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(chatsBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return &Chats{db: db}, nil
}

// Close closes the file.
func (c *Chats) Close() error { return c.db.Close() }

// Append adds messages to a conversation, which comes into being with its first.
func (c *Chats) Append(id string, messages ...Message) error {
	if !chatID.MatchString(id) {
		return ErrChatID
	}
	return c.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(chatsBucket)
		chat, err := read(b.Get([]byte(id)))
		if errors.Is(err, retrieval.ErrNotFound) {
			chat, err = Chat{ID: id, Created: time.Now().UTC()}, nil
		}
		if err != nil {
			return err
		}
		chat.Updated = time.Now().UTC()
		chat.Messages = append(chat.Messages, messages...)
		if i := slices.IndexFunc(chat.Messages, func(m Message) bool { return m.Role == User }); chat.Title == "" && i >= 0 {
			chat.Title = title(chat.Messages[i].Content)
		}
		raw, err := json.Marshal(chat)
		if err != nil {
			return err
		}
		return b.Put([]byte(id), raw)
	})
}

func read(raw []byte) (Chat, error) {
	var chat Chat
	if raw == nil {
		return chat, retrieval.ErrNotFound
	}
	return chat, json.Unmarshal(raw, &chat)
}

func title(question string) string {
	t := strings.Join(strings.Fields(question), " ")
	if utf8.RuneCountInString(t) > maxTitle {
		return string([]rune(t)[:maxTitle-1]) + "…"
	}
	return t
}

// Get returns a conversation, or [retrieval.ErrNotFound].
func (c *Chats) Get(id string) (chat Chat, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		chat, err = read(tx.Bucket(chatsBucket).Get([]byte(id)))
		return err
	})
	return chat, err
}

// History returns the last messages of a conversation, limit at most, oldest
// first; none for one that is not there; [ErrChatID] for one that cannot be.
func (c *Chats) History(id string, limit int) ([]Message, error) {
	if !chatID.MatchString(id) {
		return nil, ErrChatID
	}
	chat, err := c.Get(id)
	if errors.Is(err, retrieval.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return chat.Messages[max(0, len(chat.Messages)-limit):], nil
}

// List returns the conversations without their messages, the last used first.
func (c *Chats) List() ([]Chat, error) {
	out := []Chat{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(chatsBucket).ForEach(func(_, raw []byte) error {
			chat, err := read(raw)
			chat.Messages = nil
			out = append(out, chat)
			return err
		})
	})
	slices.SortStableFunc(out, func(a, b Chat) int { return b.Updated.Compare(a.Updated) })
	return out, err
}

// Delete removes a conversation; [retrieval.ErrNotFound] when there is none.
func (c *Chats) Delete(id string) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(chatsBucket)
		if b.Get([]byte(id)) == nil {
			return retrieval.ErrNotFound
		}
		return b.Delete([]byte(id))
	})
}
