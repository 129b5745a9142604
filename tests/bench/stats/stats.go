// Package stats has what benchmarks compute of their samples.
package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

const resamples = 2000

// Ratio is a ratio of medians with its 95 % confidence interval.
type Ratio struct {
	Value float64
	Low   float64
	High  float64
}

func (r Ratio) String() string {
	return fmt.Sprintf("%.2f [%.2f–%.2f]", r.Value, r.Low, r.High)
}

// Quantile interpolates linearly between the two closest samples.
func Quantile(samples []float64, q float64) float64 {
	return sortedQuantile(slices.Sorted(slices.Values(samples)), q)
}

// Median is the middle one, or the mean of the two in the middle.
func Median(samples []float64) float64 {
	return Quantile(samples, 0.5)
}

func sortedQuantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	position := q * float64(len(sorted)-1)
	below := int(position)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (position-float64(below))*(sorted[above]-sorted[below])
}

// MedianRatio compares samples that were taken in the same rounds: a[i] and b[i] belong together.
// The interval is a percentile bootstrap over the rounds, so noise that met both in one round
// does not widen it.
func MedianRatio(a, b []float64, seed uint64) Ratio {
	rng := rand.New(rand.NewPCG(seed, 0))
	rounds := len(a)
	drawnA, drawnB := make([]float64, rounds), make([]float64, rounds)
	ratios := make([]float64, resamples)
	for i := range ratios {
		for j := range rounds {
			k := rng.IntN(rounds)
			drawnA[j], drawnB[j] = a[k], b[k]
		}
		slices.Sort(drawnA)
		slices.Sort(drawnB)
		ratios[i] = sortedQuantile(drawnA, 0.5) / sortedQuantile(drawnB, 0.5)
	}
	slices.Sort(ratios)
	return Ratio{
		Value: Median(a) / Median(b),
		Low:   sortedQuantile(ratios, 0.025),
		High:  sortedQuantile(ratios, 0.975),
	}
}
