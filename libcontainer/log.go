package libcontainer

import (
	"context"
	"log/slog"
)

// warner hands what the specification wants to be logged to a logger, which may be nil.
func warner(l *slog.Logger) func(string) {
	if l == nil {
		return nil
	}
	return func(message string) { l.Warn(message) }
}

// stepper hands the steps of a creation to a logger that wants them.
func stepper(l *slog.Logger) func(string) {
	if l == nil || !l.Enabled(context.Background(), slog.LevelDebug) {
		return nil
	}
	return func(step string) { l.Debug(step) }
}
