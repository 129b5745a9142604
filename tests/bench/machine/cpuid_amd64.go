package machine

import "time"

// executeCPUID asks for the CPU's name and throws it away.
func executeCPUID()

func cpuid() (time.Duration, error) {
	const times = 100
	began := time.Now()
	for range times {
		executeCPUID()
	}
	return each(began, times), nil
}
