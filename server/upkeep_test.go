package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSyncStreams(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	resp, err := http.Post(s.URL+"/api/v1/sync", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var names []string
	var last string
	for e := range events(resp.Body) {
		names, last = append(names, e.name), e.data
	}
	if want := []string{"document", "done"}; !slices.Equal(names, want) {
		t.Errorf("events %v, want %v", names, want)
	}
	for _, part := range []string{`"indexed":1`, `"unchanged":0`, `"roto.html"`} {
		if !strings.Contains(last, part) {
			t.Errorf("done is %s, without %s", last, part)
		}
	}
}

func TestVerify(t *testing.T) {
	s := serve(t, New(newWorld(t).config()))
	for body, want := range map[string]map[string]any{
		`{}`:              {"problems": []any{"a.txt differs"}, "repaired": false},
		`{"repair":true}`: {"problems": []any{}, "repaired": true},
	} {
		if d := cmp.Diff(want, exchange{"POST", "/api/v1/verify", body, nil}.decode(t, s, 200)); d != "" {
			t.Error(body, d)
		}
	}
}
