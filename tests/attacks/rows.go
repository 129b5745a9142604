package main

import "slices"

// attacks are all rows, in the order of the table.
var attacks = slices.Concat(descriptorAttacks, mountAttacks, waitingAttacks, pathAttacks, hookAttacks, procAttacks, controlAttacks)
