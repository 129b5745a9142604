package stats

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, test := range []struct {
		samples []float64
		q, want float64
	}{
		{[]float64{7}, 0.25, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{4, 1, 3, 2}, 0.25, 1.75},
		{[]float64{4, 1, 3, 2}, 0, 1},
		{[]float64{4, 1, 3, 2}, 1, 4},
	} {
		if got := Quantile(test.samples, test.q); got != test.want {
			t.Errorf("Quantile(%v, %v) = %v, want %v", test.samples, test.q, got, test.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing = %v, want NaN", got)
	}
}

func TestQuantileKeepsSamples(t *testing.T) {
	samples := []float64{3, 1, 2}
	Median(samples)
	if samples[0] != 3 || samples[1] != 1 || samples[2] != 2 {
		t.Errorf("the samples became %v", samples)
	}
}

func TestMedianRatio(t *testing.T) {
	a := []float64{1, 2, 3, 4, 5}
	b := []float64{2, 4, 6, 8, 10}
	// The rounds belong together, so that every resample has the same ratio.
	if got, want := MedianRatio(a, b, 1), (Ratio{0.5, 0.5, 0.5}); got != want {
		t.Errorf("paired samples: %v, want %v", got, want)
	}
	b = []float64{10, 4, 6, 8, 2}
	got := MedianRatio(a, b, 1)
	if got.Value != 0.5 || !(got.Low < 0.5) || !(got.High > 0.5) {
		t.Errorf("crossed samples: %v, want an interval around 0.5", got)
	}
	if again := MedianRatio(a, b, 1); again != got {
		t.Errorf("the same seed gave %v and %v", got, again)
	}
}
