package main

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-1": -1, "4096": 4096, "64m": 64 << 20, "64 m": 64 << 20, "64MB": 64 << 20, "64MiB": 64 << 20, "1.5g": 3 << 29, "0.5k": 512, "2t": 2 << 40, "1p": 1 << 50,
	} {
		var n *int64
		if err := size(text, &n); err != nil || *n != want {
			t.Errorf("%s: %v, want %d", text, err, want)
		}
	}
	for _, text := range []string{"", "m", "-2", "-1m", "1.5", ".5g", "1.5.g", "1e3m", "0x1", "9999999999g", "9999999999.5g", "64x", "inf"} {
		var n *int64
		if err := size(text, &n); err == nil {
			t.Errorf("%q: %d", text, *n)
		}
	}
}
