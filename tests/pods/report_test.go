package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rtcontainers/rt/tests/bench/bars"
	"github.com/rtcontainers/rt/tests/bench/document"
	"github.com/rtcontainers/rt/tests/bench/machine"
)

// exampleReport has three rounds in which rt takes half of runc's time.
func exampleReport(t *testing.T, args ...string) *report {
	t.Helper()
	opts, err := parseOptions(append([]string{"-competitors", "rt-sandbox,runc", "-pods", "1,2", "-workers", "1", "-bin", t.TempDir()}, args...))
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(opts, machine.Host{CPUs: 2})
	for i, who := range opts.competitors {
		for range 3 {
			took := time.Duration(10*(i+1)) * time.Millisecond
			for _, series := range opts.series() {
				if !strings.HasPrefix(series, "memory/") && !strings.HasPrefix(series, "idle/") && (who.name == reference || !strings.HasPrefix(series, "task")) {
					r.addTimes(who, times{series: took})
				}
			}
		}
		for _, pods := range opts.pods {
			r.add(idleSeries(pods), who, 7)
			r.addMemory(who, &memory{Pods: pods, Shims: 1000 * pods * (i + 1), Holders: 24 * pods, Containers: 30 * pods, Processes: 2 * pods})
		}
	}
	return r
}

func TestReport(t *testing.T) {
	r := exampleReport(t)
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"Time of a pod in ms, with the node's network:",
		"rt (sandbox) 10.00 10.00 10.00 10.00 0.50 [0.50–0.50] 10.00 0.50 [0.50–0.50]",
		"runc's shim with runc 20.00 20.00 20.00 20.00 1.00 20.00 1.00",
		"rt (sandbox) 100 2.00 10.00 0.50 [0.50–0.50]",
		"rt (sandbox) 7.00 1.00 7.00 1.00",
		"rt (sandbox) 1024 0.51 1024 0.51 1000 4 30.00",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if n := strings.Count(text, "rt (sandbox)"); n != 5 {
		t.Errorf("rt (sandbox) is in %d tables, want all but that of containers without a pod", n)
	}
}

func TestReportInMarkdown(t *testing.T) {
	r := exampleReport(t)
	for _, table := range r.tables() {
		var b strings.Builder
		if err := document.Markdown(1)(&b, table.rows); err != nil {
			t.Fatal(err)
		}
		columns := strings.Count(strings.SplitN(b.String(), "\n", 2)[0], "|")
		for line := range strings.Lines(b.String()) {
			if strings.Count(line, "|") != columns {
				t.Errorf("%s: a line has other columns than the head:\n%s", table.title, b.String())
				break
			}
		}
	}
}

func TestRatioForBars(t *testing.T) {
	r := exampleReport(t)
	for _, test := range []struct {
		bar  bars.Bar
		want string
	}{
		{bars.Bar{Series: startPod, Of: "rt-sandbox", Peer: "runc", Max: 0.5}, ""},
		{bars.Bar{Series: startPod, Of: "rt-sandbox", Peer: "runc", Max: 0.49}, "1 of 1 bars missed"},
		{bars.Bar{Series: wholeTask, Of: "rt-sandbox", Peer: "runc", Max: 1}, "no samples that belong together"},
	} {
		var b strings.Builder
		err := bars.Check(&b, []bars.Bar{test.bar}, r.ratio)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.bar, err, test.want)
		}
	}
}

func TestChartsHaveEveryCompetitor(t *testing.T) {
	charts := exampleReport(t).charts()
	if len(charts) != 6 {
		t.Errorf("%d charts", len(charts))
	}
	for _, c := range charts {
		if len(c.Bars) != 2 || c.Bars[0].Value <= 0 {
			t.Errorf("%s: %v", c.Title, c.Bars)
		}
	}
}
