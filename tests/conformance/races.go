package main

import "bytes"

// races are programs that fail now and then with any runtime, and what they say when they do.
var races = map[string]string{
	// Its process and its hook append a line each to a file, and it wants that of the process
	// first. The specification has the hook called after the process is executed: which of the two
	// running programs writes first is the scheduler's.
	"poststart": "The post-start hooks MUST be called after the user-specified process is executed",
}

// tries are enough for a scheduler that means well.
const tries = 5

// lostRace tells whether a program failed only because it lost its race.
func lostRace(program string, out output) bool {
	text, ok := races[program]
	return ok && bytes.Contains(out.stdout, []byte(text))
}
