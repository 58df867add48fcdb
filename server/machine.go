package server

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/acervo-kb/acervo/hwplan"
)

func (s *server) plan(ctx context.Context, _ *none) (hwplan.Plan, error) {
	planner, err := s.Machine.Planner(ctx)
	if err != nil {
		return hwplan.Plan{}, err
	}
	return planner.Plan(), nil
}

type whatIfRequest struct{ Body hwplan.Description }

func (s *server) whatIf(ctx context.Context, in *whatIfRequest) (hwplan.Plan, error) {
	plan, err := s.Machine.WhatIf(ctx, in.Body)
	if err != nil && ctx.Err() == nil {
		return hwplan.Plan{}, newProblem(http.StatusUnprocessableEntity, "invalid", err.Error())
	}
	return plan, err
}

func (s *server) hardware(ctx context.Context, _ *none) (hwplan.Status, error) {
	return s.Machine.Status(ctx)
}

// A machineWatch reports the machine to one stream of events.
type machineWatch struct {
	*server
	events *eventStream
	plan   []byte // as it was sent last
}

// report sends what has changed. What cannot be looked at is not reported, and a stream that cannot be written to has ended ctx.
func (w *machineWatch) report(ctx context.Context) {
	status, err := w.Machine.Status(ctx)
	if err != nil {
		return
	}
	plan, err := w.Machine.Plan(ctx)
	if err != nil {
		return
	}
	if raw, err := json.Marshal(plan); err == nil && !bytes.Equal(raw, w.plan) {
		w.plan = raw
		_ = w.events.send("plan", plan)
	}
	_ = w.events.send("hardware", status)
}
