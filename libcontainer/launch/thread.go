package launch

import "golang.org/x/sys/unix"

// Ahead makes namespaces while the program that is to live in them is still
// being made: a network namespace takes the kernel as long as rt takes for the
// program.
type Ahead struct {
	configs chan *Config
	results chan result
}

type result struct {
	p   *Process
	err error
}

// MakeAhead makes namespaces (the flags of clone(2) for some that unshare(2)
// gives to a single thread) on an OS thread of their own. End it with
// Cancel.
func MakeAhead(flags uint64) *Ahead {
	a := &Ahead{configs: make(chan *Config), results: make(chan result, 1)}
	go onOwnThread(func() error {
		// If it cannot, clone cannot either, and says so.
		made := unix.Unshare(int(flags)) == nil
		cfg, ok := <-a.configs
		if !ok {
			return nil
		}
		own := *cfg
		if made {
			own.CloneFlags &^= flags
		}
		p, err := prepareAndStart(&own)
		a.results <- result{p, err}
		return nil
	})
	return a
}

// Start is the function Start, with the namespaces that are there already. A nil
// Ahead has none.
func (a *Ahead) Start(cfg *Config) (*Process, error) {
	if a == nil {
		return Start(cfg)
	}
	a.configs <- cfg
	r := <-a.results
	return r.p, r.err
}

// Cancel gives the namespaces up, unless Start took them.
func (a *Ahead) Cancel() {
	if a != nil {
		close(a.configs)
	}
}
