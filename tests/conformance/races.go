package main

import "bytes"

// races are programs that sometimes fail with any runtime, and what they print then.
var races = map[string]string{
	// Its process and its hook append a line each to a file, and it expects that of the
	// process first. The specification says that the hook runs after the process is
	// executed: the scheduler decides which of the two running programs writes first.
	"poststart": "The post-start hooks MUST be called after the user-specified process is executed",
}

// tries are usually enough to win the race.
const tries = 5

// lostRace tells whether a program failed only because it lost its race.
func lostRace(program string, out output) bool {
	text, ok := races[program]
	return ok && bytes.Contains(out.stdout, []byte(text))
}
