package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/sirupsen/logrus"
	logrusslog "github.com/sirupsen/logrus/hooks/slog"
)

// logger hands what the library has to tell to logrus, in the format and to the place
// that the flags name.
func logger() *slog.Logger {
	return slog.New(stepClock{logrusslog.NewHandler(logrus.StandardLogger(), nil)})
}

// stepClock adds the milliseconds since rt began to the steps that --debug logs.
type stepClock struct{ slog.Handler }

func (c stepClock) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelDebug {
		r.AddAttrs(slog.String("ms", milliseconds(time.Since(started))))
	}
	return c.Handler.Handle(ctx, r)
}
