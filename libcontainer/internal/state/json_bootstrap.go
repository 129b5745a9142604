//go:build generate

package state

import "github.com/rtcontainers/rt/internal/jsontext"

// The generator looks at the types of this package before there is code for
// them.

func appendState([]byte, *State) []byte { panic("jsongen has not run") }

func decodeState(*jsontext.Decoder, *State) { panic("jsongen has not run") }

func appendSteps([]byte, *Steps) []byte { panic("jsongen has not run") }

func decodeSteps(*jsontext.Decoder, *Steps) { panic("jsongen has not run") }
