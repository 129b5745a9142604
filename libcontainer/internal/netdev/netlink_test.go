package netdev

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLongAttributesAreRefused(t *testing.T) {
	for length, ok := range map[int]bool{15: true, maxAttribute - 1: true, maxAttribute: false, 1<<16 + 8: false} {
		_, err := new(conn).message(unix.RTM_NEWLINK, 0, ifinfo(1, 0, 0), []attribute{text(unix.IFLA_IFNAME, strings.Repeat("x", length))})
		if (err == nil) != ok {
			t.Errorf("a name of %d bytes: %v", length, err)
		}
	}
}
