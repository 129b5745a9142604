//go:build shim_tracing

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The spans of calls come to the collector that the environment names, at the latest when
// the shim ends.
func TestTracing(t *testing.T) {
	calls := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- r.URL.Path + string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_SERVICE_NAME", "shim-under-test")
	s := newShim(t)
	bundle := s.bundle("box", "", nil)
	must(t, unix.Mkfifo(filepath.Join(bundle, "log"), 0o600))
	log, err := unix.Open(filepath.Join(bundle, "log"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(log)
	address, _ := startProcess(t, s, bundle, "box") // it calls Connect
	shutDown(t, address, "box")
	for deadline := time.After(patience); ; {
		select {
		case got := <-calls:
			if strings.HasPrefix(got, "/v1/traces") && strings.Contains(got, "shim-under-test") && strings.Contains(got, "containerd.task.v3.Task/Connect") {
				return
			}
			t.Logf("%q", got)
		case <-deadline:
			t.Fatal("no span of Connect")
		}
	}
}
