package main

import (
	"fmt"
	"io"
	"log/syslog"
	"net"
	"os"
	"strings"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/sirupsen/logrus"
)

// logTo sends the log where --log says: to a file or, as in crun(1), to a backend with its
// argument: file:PATH, syslog:IDENTIFIER, journald:IDENTIFIER.
func logTo(where string) error {
	backend, rest, ok := strings.Cut(where, ":")
	switch {
	case ok && backend == "syslog":
		w, err := syslog.New(syslog.LOG_USER, identifier(rest))
		if err != nil {
			return fmt.Errorf("--log: syslog: %w", err)
		}
		return toService(func(level logrus.Level, message string) error {
			switch {
			case level <= logrus.ErrorLevel:
				return w.Err(message)
			case level == logrus.WarnLevel:
				return w.Warning(message)
			case level == logrus.InfoLevel:
				return w.Info(message)
			}
			return w.Debug(message)
		})
	case ok && backend == "journald":
		conn, err := net.Dial("unixgram", "/run/systemd/journal/socket")
		if err != nil {
			return fmt.Errorf("--log: journald: %w", err)
		}
		return toService(func(level logrus.Level, message string) error {
			// systemd.journal-fields(7); a value with newlines would need its length.
			_, err := fmt.Fprintf(conn, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", priority(level), identifier(rest), strings.ReplaceAll(message, "\n", " / "))
			return err
		})
	case ok && backend == "file":
		where = rest
	}
	mode := os.FileMode(0o644)
	if defence.Off(defence.CallerFiles) {
		mode = 0o666
	}
	f, err := os.OpenFile(where, os.O_CREATE|os.O_WRONLY|os.O_APPEND, mode)
	if err != nil {
		return fmt.Errorf("--log: %w", err)
	}
	logFile = f
	logrus.SetOutput(f)
	return nil
}

func identifier(s string) string {
	if s == "" {
		return "rt"
	}
	return s
}

// priority is a level for syslog(3).
func priority(level logrus.Level) int {
	switch {
	case level <= logrus.ErrorLevel:
		return 3
	case level == logrus.WarnLevel:
		return 4
	case level == logrus.InfoLevel:
		return 6
	}
	return 7
}

// service is a logrus.Hook that hands messages to a log service.
type service func(level logrus.Level, message string) error

func (service) Levels() []logrus.Level { return logrus.AllLevels }

func (s service) Fire(e *logrus.Entry) error { return s(e.Level, e.Message) }

func toService(send service) error {
	logsElsewhere = true
	logrus.AddHook(send)
	logrus.SetOutput(io.Discard)
	return nil
}
