package sidecar

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// suryaPrompt is a contract: Surya was trained with these very words. Source: surya 0.20, inference/prompts.py.
const suryaPrompt = "OCR this image to HTML. Each block is a div with data-label and data-bbox (x0 y0 x1 y1, normalized 0-1000)."

const (
	// suryaTokens is the longest answer. A dense page has some 3000.
	suryaTokens = 8192
	// A page may take so long. Of a question that needs the card's memory it is the longest wait.
	suryaGPULimit = 2 * time.Minute
	suryaCPULimit = 10 * time.Minute
	// maxAnswer is more than suryaTokens can say, in bytes.
	maxAnswer = 1 << 20
)

// A sampling is how freely the model chooses its words.
type sampling struct{ temperature, topP float64 }

// samplings are the first way to ask, and those when the model was caught in a loop. Source: surya 0.20, openai_client.py.
var samplings = []sampling{{0, 0.1}, {0.2, 0.95}, {0.4, 0.95}, {0.6, 0.95}}

// A suryaRequest is the parameter of a [llama]'s job.
type suryaRequest struct {
	page     *pagePicture
	sampling sampling
}

// A suryaReply is what the model wrote.
type suryaReply struct {
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence"` // the mean probability of its tokens
	Cut        bool    `json:"cut"`        // it was not finished
	Loops      bool    `json:"loops"`      // it says the same again and again
}

// What follows is the part of OpenAI's chat protocol that is spoken.
type (
	chatRequest struct {
		Model       string        `json:"model"`
		Messages    []chatMessage `json:"messages"`
		MaxTokens   int           `json:"max_tokens"`
		Temperature float64       `json:"temperature"`
		TopP        float64       `json:"top_p"`
		Logprobs    bool          `json:"logprobs"`
		TopLogprobs int           `json:"top_logprobs"` // llama-server would tell 20 for each token
		Stream      bool          `json:"stream"`
	}
	chatMessage struct {
		Role    string     `json:"role"`
		Content []chatPart `json:"content"`
	}
	chatPart struct {
		Type     string     `json:"type"`
		ImageURL *chatImage `json:"image_url,omitempty"`
		Text     string     `json:"text,omitempty"`
	}
	chatImage struct {
		URL string `json:"url"`
	}
	chatChunk struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
			Logprobs *struct {
				Content []struct {
					Logprob float64 `json:"logprob"`
				} `json:"content"`
			} `json:"logprobs"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Error *chatError `json:"error"`
	}
	chatError struct {
		Message string `json:"message"`
	}
)

func newChatRequest(png []byte, s sampling) chatRequest {
	return chatRequest{
		Model: suryaAlias, MaxTokens: suryaTokens, Temperature: s.temperature, TopP: s.topP, Logprobs: true, TopLogprobs: 1, Stream: true,
		Messages: []chatMessage{{Role: "user", Content: []chatPart{
			{Type: "image_url", ImageURL: &chatImage{URL: "data:image/png;base64," + base64.StdEncoding.EncodeToString(png)}},
			{Type: "text", Text: suryaPrompt},
		}}},
	}
}

// work has a page read. The answer is streamed: so one that goes round in circles is ended early, and one that stands still is seen.
func (l *llama) work(ctx context.Context, j job) (json.RawMessage, error) {
	ask := j.params.(suryaRequest)
	png, err := ask.page.png(l.onGPU)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(newChatRequest(png, ask.sampling))
	if err != nil {
		return nil, err
	}
	reply, err := l.ask(ctx, body)
	var refused *refusal
	if err != nil && !errors.As(err, &refused) {
		l.process.Close()
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(reply)
}

// ask sends a request and reads the answer to its end, under every limit.
func (l *llama) ask(ctx context.Context, body []byte) (suryaReply, error) {
	call, end := context.WithCancelCause(ctx)
	defer end(nil)
	limit := suryaCPULimit
	if l.onGPU {
		limit = suryaGPULimit
	}
	overall := time.AfterFunc(limit, func() { end(parse.Errorf(parse.Timeout, "Surya took more than %s", limit)) })
	defer overall.Stop()
	quiet := time.AfterFunc(l.limits.stall, func() { end(parse.Errorf(parse.Timeout, "Surya made no progress for %s", l.limits.stall)) })
	defer quiet.Stop()
	reply, err := l.converse(call, body, func() { quiet.Reset(l.limits.stall) })
	var refused *refusal
	switch {
	case err == nil || errors.As(err, &refused):
		return reply, err
	case ctx.Err() != nil: // the server notices that nobody listens, and lives
		return reply, errors.Join(ctx.Err(), &refusal{Code: codeCancelled, Message: "the caller no longer wants it"})
	case call.Err() != nil:
		return reply, context.Cause(call)
	}
	select {
	case <-l.process.Ended():
		return reply, l.death()
	case <-time.After(time.Second):
		return reply, &diedError{why: "llama-server: " + err.Error()}
	}
}

// converse is the dialogue; heard is called at each piece of the answer.
func (l *llama) converse(ctx context.Context, body []byte, heard func()) (suryaReply, error) {
	resp, err := l.send(ctx, http.MethodPost, "/v1/chat/completions", body)
	if err != nil {
		return suryaReply{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return suryaReply{}, refusalOf(resp)
	}
	var a suryaWriter
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 64*maxAnswer)) // each token comes with its surroundings
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue // an empty line, a comment that keeps the connection open, or garbage: then there is no answer
		}
		heard()
		if data = strings.TrimSpace(data); data == "[DONE]" {
			return a.reply()
		}
		var chunk chatChunk
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return suryaReply{}, fmt.Errorf("it speaks no JSON: %.80q", data)
		}
		if chunk.Error != nil {
			return suryaReply{}, failure(chunk.Error.Message)
		}
		if a.write(chunk); a.loops || a.text.Len() > maxAnswer {
			return a.reply()
		}
	}
	if err := lines.Err(); err != nil {
		return suryaReply{}, err
	}
	return suryaReply{}, errors.New("its answer ends in the middle")
}

// refusalOf is what the server says in the place of an answer.
func refusalOf(resp *http.Response) error {
	var said struct {
		Error chatError `json:"error"`
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil || json.Unmarshal(raw, &said) != nil || said.Error.Message == "" {
		said.Error.Message = strings.ToValidUTF8(string(raw[:min(len(raw), 200)]), "?")
	}
	return failure(fmt.Sprintf("HTTP %d: %s", resp.StatusCode, said.Error.Message))
}

// failure is an error that the server tells. One that lacks memory is of no use until it is started anew.
func failure(message string) error {
	if outOfMemory(message) {
		return &diedError{why: "llama-server: " + message}
	}
	return &refusal{Code: codeInternal, Message: message}
}

// outOfMemory reports whether a server's last words, or an error of it, say that memory is short. Sources: ggml-cuda.cu, llama.cpp.
func outOfMemory(words string) bool {
	words = strings.ToLower(words)
	return strings.Contains(words, "out of memory") || strings.Contains(words, "failed to allocate") || strings.Contains(words, "unable to allocate")
}

// A suryaWriter puts an answer together.
type suryaWriter struct {
	text    strings.Builder
	sum     float64 // of the probabilities of its tokens
	tokens  int
	finish  string
	checked int // up to where no loop was found
	loops   bool
}

func (w *suryaWriter) write(chunk chatChunk) {
	for _, choice := range chunk.Choices[:min(1, len(chunk.Choices))] {
		w.text.WriteString(choice.Delta.Content)
		if choice.FinishReason != "" {
			w.finish = choice.FinishReason
		}
		if choice.Logprobs != nil {
			for _, token := range choice.Logprobs.Content {
				w.sum += within(math.Exp(token.Logprob))
				w.tokens++
			}
		}
	}
	if w.text.Len() > w.checked+loopStep {
		w.checked = w.text.Len()
		w.loops = loops(w.text.String(), loopRunning)
	}
}

func (w *suryaWriter) reply() (suryaReply, error) {
	r := suryaReply{Text: w.text.String(), Cut: w.finish != "stop"}
	r.Loops = w.loops || loops(r.Text, loopEnded)
	if w.tokens > 0 {
		r.Confidence = w.sum / float64(w.tokens)
	}
	return r, nil
}

// A text ends in a loop when so many of its last bytes are one short piece, again and again. While it is being written more is
// asked for: the dots of a table of contents, and the empty cells of a form, go on for long and end.
const (
	loopEnded   = 200
	loopRunning = 3000
	loopStep    = 256
	loopPiece   = 250 // bytes
	loopTimes   = 4
)

// loops reports whether at least so many bytes at the end of text are a piece repeated.
func loops(text string, least int) bool {
	for period := 1; period <= min(loopPiece, len(text)/loopTimes); period++ {
		same, need := 0, max(least, loopTimes*period)-period
		for same < need && same+period < len(text) && text[len(text)-1-same] == text[len(text)-1-same-period] {
			same++
		}
		if same >= need {
			return true
		}
	}
	return false
}
