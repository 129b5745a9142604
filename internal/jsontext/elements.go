package jsontext

// Extend makes element n of a list that is being read. As in encoding/json, if an array
// occurs twice, the second one is read over the elements of the first.
func Extend[T any](list []T, n int) []T {
	switch {
	case n < len(list):
		return list
	case n < cap(list):
		return list[:n+1]
	}
	var zero T
	return append(list, zero)
}

// Cut ends a list after n elements. An empty array is an empty list and not nil.
func Cut[T any](list []T, n int) []T {
	if n == 0 {
		return []T{}
	}
	return list[:n]
}
