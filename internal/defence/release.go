//go:build !weakened

package defence

// Off tells whether a defence is switched off, which it never is.
func Off(Name) bool { return false }
