package stack

import "testing"

//go:noinline
func deep(n int) int {
	var frame [256]byte
	if n == 0 {
		return 0
	}
	frame[n%len(frame)] = 1
	return deep(n-1) + int(frame[n%len(frame)])
}

func TestGrownStackIsUsable(t *testing.T) {
	done := make(chan int)
	go func() {
		Grow()
		done <- deep(200) // more than Grow made room for
	}()
	if n := <-done; n != 200 {
		t.Error(n)
	}
}
