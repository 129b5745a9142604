package main

import "slices"

// attacks are all rows, in the order of the table.
var attacks = slices.Concat(
	descriptorAttacks, executableAttacks, waitingAttacks, mountAttacks, pathAttacks, raceAttacks, procAttacks, fileAttacks, hookAttacks,
	deviceAttacks, filterAttacks, sessionAttacks, controlAttacks, configurationAttacks, stateAttacks,
)
