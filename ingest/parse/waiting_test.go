package parse

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaiting(t *testing.T) {
	errOwn := errors.New("its own")
	for name, test := range map[string]struct {
		lasts time.Duration
		want  []Wait
	}{
		"a breather": {time.Second, nil},
		"a pause":    {time.Minute, []Wait{ForRest, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []Wait
				ctx := WithWaits(t.Context(), func(why Wait) { told = append(told, why) })
				err := Waiting(ctx, ForRest, func() error { time.Sleep(test.lasts); return errOwn })
				if !slices.Equal(told, test.want) || !errors.Is(err, errOwn) {
					t.Errorf("told %q, error %v", told, err)
				}
			})
		})
	}
	if err := Waiting(context.Background(), ForTurn, func() error { return errOwn }); !errors.Is(err, errOwn) {
		t.Errorf("where nobody asked to be told: %v", err)
	}
}
