//go:build weakened

package defence

import (
	"os"
	"slices"
	"strings"
)

// Off tells whether a defence is one of those that RT_WEAKENED names, with commas
// between them.
func Off(n Name) bool { return slices.Contains(off, string(n)) }

var off = strings.Split(os.Getenv("RT_WEAKENED"), ",")
