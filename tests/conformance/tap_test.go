package main

import (
	"slices"
	"testing"
)

func TestParseTAP(t *testing.T) {
	tests := map[string]struct {
		out  string
		want tapReport
	}{
		"nothing": {},
		"results": {
			out:  "TAP version 13\nok 1 - a\nnot ok 2 - b\nok 3 # SKIP c\nnot ok 4 # TODO d\nok 5 # todo e\n1..5\n",
			want: tapReport{passed: 2, failed: 1, skipped: 1, todo: 1},
		},
		"plan first": {
			out:  "TAP version 13\n1..1\nok 1\n",
			want: tapReport{passed: 1},
		},
		"YAML blocks": {
			out:  "ok 1 - a\n  ---\n  {\n    \"stdout\": \"x\"\n  }\nnot ok 7 - within the block\n  ...\n1..1\n",
			want: tapReport{passed: 1},
		},
		"a YAML block without a test": {
			out:  "TAP version 13\n  ---\n  {\"error\": \"e\"}\n  ...\n1..0\n",
			want: tapReport{blocks: 1},
		},
		"a directive in words only": {
			out:  "not ok 1 - skip the rest\n1..1\n",
			want: tapReport{failed: 1},
		},
		"diagnostics": {
			out:  "# not ok\nokay\nok 1 - a\r\n1..1",
			want: tapReport{passed: 1},
		},
		"two streams": {
			out:  "TAP version 13\nok 1\nok 2\n1..2\nTAP version 13\n1..0\n",
			want: tapReport{passed: 2},
		},
		"too few tests": {
			out:  "1..3\nok 1\n",
			want: tapReport{passed: 1, problems: []string{"3 tests planned, 1 reported"}},
		},
		"no plan": {
			out:  "ok 1\nok 2\n",
			want: tapReport{passed: 2, problems: []string{"2 tests without a plan"}},
		},
		"two plans": {
			out:  "1..1\nok 1\n1..1\n",
			want: tapReport{passed: 1, problems: []string{"more than one plan"}},
		},
		"a huge plan": {
			out:  "1..99999999999999999999\n",
			want: tapReport{problems: []string{"plan 99999999999999999999 is out of range"}},
		},
		"bail out": {
			out:  "1..2\nok 1\nBail out! no root\n",
			want: tapReport{passed: 1, bailOut: "no root", problems: []string{"2 tests planned, 1 reported"}},
		},
		"bail out without a reason": {
			out:  "Bail out!\n",
			want: tapReport{bailOut: "no reason given"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := parseTAP([]byte(test.out))
			if !equal(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// equal compares what two reports say, apart from the state of the parser.
func equal(a, b tapReport) bool {
	return a.passed == b.passed && a.failed == b.failed && a.skipped == b.skipped && a.todo == b.todo &&
		a.blocks == b.blocks && a.bailOut == b.bailOut &&
		slices.Equal(a.problems, b.problems)
}
