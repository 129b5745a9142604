package main

import "strings"

// viewResult is what was measured in a view.
type viewResult struct {
	View   string
	Notes  []note `json:",omitempty"`
	Series []seriesResult
}

// note is a remark about the conditions of some cases.
type note struct {
	Cases []string
	Text  string
}

func (n note) String() string {
	return strings.Join(n.Cases, ", ") + ": " + n.Text
}

// addNote records a remark that several cases share once.
func (v *viewResult) addNote(caseName, text string) {
	for i := range v.Notes {
		if v.Notes[i].Text == text {
			v.Notes[i].Cases = append(v.Notes[i].Cases, caseName)
			return
		}
	}
	v.Notes = append(v.Notes, note{[]string{caseName}, text})
}

// seriesResult has the samples of each competitor, one for each round.
type seriesResult struct {
	Name        string
	Unit        string
	Competitors []string
	Samples     map[string][]float64
}

func newSeries(c *benchCase, subjects []*subject) []seriesResult {
	series := make([]seriesResult, len(c.series))
	for i, name := range c.series {
		series[i] = seriesResult{Name: name, Unit: c.units[i], Samples: map[string][]float64{}}
		for _, s := range subjects {
			series[i].Competitors = append(series[i].Competitors, s.Name)
		}
	}
	return series
}
