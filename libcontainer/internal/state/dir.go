package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/jsontext"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// Names of the files in a container's directory.
const (
	stateName  = "state.json"
	configName = "config.json"
	stepsName  = "steps.json"
)

// The errors of opening a container.
var (
	ErrNotExist = errors.New("container does not exist")
	ErrExist    = errors.New("container with given ID already exists")
	ErrID       = errors.New("invalid container ID")
	// ErrWrongState means that an operation is not allowed in the container's state.
	ErrWrongState = errors.New("wrong container state")
	// ErrForeign means that somebody else may have written what rt would obey.
	ErrForeign = errors.New("rt does not trust a state that others can write")
)

const idLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-."

// CheckID tells whether id can name a container: letters, digits and _ + - .
func CheckID(id string) error {
	if id == "." || id == ".." || id == "" || len(id) > 255 || strings.Trim(id, idLetters) != "" {
		return fmt.Errorf("%w %q: use letters, digits and _ + - . only, at most 255 of them", ErrID, id)
	}
	return nil
}

// Dir is a container's directory. While a Dir is locked, no other rt changes the
// container.
type Dir struct {
	*os.File
	path string
	// held is true while this Dir has the lock.
	held bool
}

// Create makes and locks the directory of a new container.
func Create(root, id string) (*Dir, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	r, err := openRoot(root)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeRoot(root); err != nil {
			return nil, err
		}
		r, err = openRoot(root)
	}
	if err != nil {
		return nil, err
	}
	defer r.close()
	mode := uint32(0o700)
	if defence.Off(defence.PrivateState) {
		mode = 0o755
	}
	switch err := unix.Mkdirat(r.fd, id, mode); err {
	case nil:
		return r.claim(id)
	case unix.EEXIST:
		err := fmt.Errorf("%q: %w (in %s)", id, ErrExist, root)
		if d, foreign := r.open(id); errors.Is(foreign, ErrForeign) {
			return nil, fmt.Errorf("%w; %w", err, foreign)
		} else if foreign == nil {
			d.Close()
		}
		return nil, err
	default:
		return nil, &os.PathError{Op: "mkdir", Path: filepath.Join(root, id), Err: err}
	}
}

// makeRoot makes the directory of all containers. A user's has the sticky bit, so that
// programs that clean up XDG_RUNTIME_DIR leave it alone (XDG Base Directory
// Specification).
func makeRoot(root string) error {
	if err := os.MkdirAll(root, 0o711); err != nil || os.Geteuid() == 0 {
		return err
	}
	return os.Chmod(root, 0o711|fs.ModeSticky)
}

// rootDir is the open directory of all containers.
type rootDir struct {
	fd   int
	path string
}

func openRoot(path string) (rootDir, error) {
	fd, err := sysfile.OpenAt(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err == nil {
		if err = checkRoot(fd, path); err != nil {
			unix.Close(fd)
		}
	}
	return rootDir{fd, path}, err
}

func (r rootDir) close() { unix.Close(r.fd) }

// claim locks a directory that was just made. It may have been deleted meanwhile, and made
// again by another creator: the first to lock that one owns it, and leaves its state
// there.
func (r rootDir) claim(id string) (*Dir, error) {
	d, err := r.open(id)
	if err == nil {
		if err = d.Lock(); err == nil && unix.Faccessat(int(d.Fd()), stateName, unix.F_OK, 0) != nil {
			return d, nil
		}
		d.Close()
	}
	switch {
	case err == nil:
		return nil, fmt.Errorf("%q: %w (in %s)", id, ErrExist, r.path)
	case errors.Is(err, ErrNotExist), errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%q was deleted while it was created", id)
	}
	_ = unix.Unlinkat(r.fd, id, unix.AT_REMOVEDIR) // the error may be a lack of descriptors
	return nil, err
}

// Open opens the directory of a container.
func Open(root, id string) (*Dir, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	r, err := openRoot(root)
	if err == nil {
		defer r.close()
		var d *Dir
		if d, err = r.open(id); err == nil {
			return d, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q: %w (in %s)", id, ErrNotExist, root)
	}
	return nil, err
}

func (r rootDir) open(id string) (*Dir, error) {
	path := filepath.Join(r.path, id)
	fd, err := sysfile.OpenAt(r.fd, id, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return nil, placed(err, path)
	}
	if err := checkOwn(fd, path); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Dir{File: os.NewFile(uintptr(fd), path), path: path}, nil
}

// Lock waits until no other rt works on the container. It fails with ErrNotExist if the
// container was deleted meanwhile.
func (d *Dir) Lock() error {
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
	return d.locked()
}

// LockWithin is Lock, but does not wait longer than this.
func (d *Dir) LockWithin(limit time.Duration) error {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return d.locked()
		case err != unix.EINTR && err != unix.EWOULDBLOCK:
			return os.NewSyscallError("flock", err)
		case time.Now().After(end):
			return fmt.Errorf("another rt has worked on %s for more than %v: if a hook hangs, end the hook or that rt", d.path, limit)
		}
	}
}

// locked completes a lock.
func (d *Dir) locked() error {
	d.held = true
	there, err := d.there()
	if err == nil && !there {
		err = ErrNotExist
	}
	if err != nil {
		d.Unlock()
	}
	return err
}

// there tells whether the directory is still at its path.
func (d *Dir) there() (bool, error) {
	mine, err := d.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, now), err
}

// Locked tells whether another rt works on the container.
func (d *Dir) Locked() bool {
	if d.held {
		return false
	}
	err := unix.Flock(int(d.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		_ = unix.Flock(int(d.Fd()), unix.LOCK_UN)
	}
	return err == unix.EWOULDBLOCK
}

// Unlock lets other rts work on the container.
func (d *Dir) Unlock() {
	d.held = false
	_ = unix.Flock(int(d.Fd()), unix.LOCK_UN)
}

// Save replaces the state.
func (d *Dir) Save(s *State) error {
	return d.replace(stateName, appendState(make([]byte, 0, 4096), s))
}

// SaveConfig saves the container's configuration as it was at create.
func (d *Dir) SaveConfig(data []byte) error { return sysfile.CreateAt(int(d.Fd()), configName, data) }

// ReplaceConfig saves a changed configuration.
func (d *Dir) ReplaceConfig(data []byte) error { return d.replace(configName, data) }

// Config reads the saved configuration.
func (d *Dir) Config() ([]byte, error) { return d.read(configName) }

// SaveSteps saves the instructions that run at the start.
func (d *Dir) SaveSteps(steps []Step) error {
	return sysfile.CreateAt(int(d.Fd()), stepsName, appendSteps(make([]byte, 0, 8192), &Steps{steps}))
}

// Steps reads them.
func (d *Dir) Steps() ([]Step, error) {
	data, err := d.read(stepsName)
	if err != nil {
		return nil, err
	}
	var s Steps
	text := jsontext.NewDecoder(string(data))
	decodeSteps(text, &s)
	if err := text.End(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(d.path, stepsName), err)
	}
	return s.Steps, nil
}

// Load reads the state. The error is ErrNotExist if there is none: not yet, or not any
// more.
func (d *Dir) Load() (*State, error) {
	data, err := d.read(stateName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q: %w (in %s)", filepath.Base(d.path), ErrNotExist, filepath.Dir(d.path))
	}
	if err != nil {
		return nil, err
	}
	s := new(State)
	text := jsontext.NewDecoder(string(data))
	decodeState(text, s)
	if err := text.End(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(d.path, stateName), err)
	}
	if s.ID != filepath.Base(d.path) {
		return nil, fmt.Errorf("%s: it belongs to another container, %q", filepath.Join(d.path, stateName), s.ID)
	}
	return s, nil
}

// read returns the content of one of rt's own files. It does not block on a pipe or a
// device.
func (d *Dir) read(name string) ([]byte, error) {
	path := filepath.Join(d.path, name)
	fd, err := sysfile.OpenAt(int(d.Fd()), name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return nil, placed(err, path)
	}
	defer unix.Close(fd)
	if err := checkOwn(fd, path); err != nil {
		return nil, err
	}
	return sysfile.ReadRegular(fd, path, maxFile)
}

// placed adds the whole path to an error.
func placed(err error, path string) error {
	if e, ok := err.(*os.PathError); ok {
		e.Path = path
	}
	return err
}

// maxFile is the largest file that rt writes, or accepts as its own. It is several times
// the limit of config.json, which may grow when it is rewritten.
const maxFile = 64 << 20

func (d *Dir) replace(name string, data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("%s: %d bytes; rt keeps at most %d: make the configuration smaller", filepath.Join(d.path, name), len(data), maxFile)
	}
	fd := int(d.Fd())
	next := "." + name
	if err := sysfile.CreateAt(fd, next, data); err != nil {
		return err
	}
	if err := unix.Renameat(fd, next, fd, name); err != nil {
		return &os.PathError{Op: "rename", Path: filepath.Join(d.path, name), Err: err}
	}
	return nil
}

// Path is the directory's place.
func (d *Dir) Path() string { return d.path }

// Names are the files of a directory without steps in the order in which to remove them.
func (d *Dir) Names() []string {
	return []string{configName, "." + configName, "." + stateName, stateName}
}

// Remove deletes the directory. The state goes last, so that a crash in the middle leaves
// a container that can still be deleted. A directory that somebody else has made in its
// place stays.
func (d *Dir) Remove() error {
	if there, err := d.there(); !there {
		return err
	}
	fd := int(d.Fd())
	for _, name := range append([]string{stepsName}, d.Names()...) {
		if err := unix.Unlinkat(fd, name, 0); err != nil && err != unix.ENOENT {
			return d.removeAll()
		}
	}
	if unix.Rmdir(d.path) == nil {
		return nil
	}
	return d.removeAll()
}

// removeAll deletes a directory with unusual content.
func (d *Dir) removeAll() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != stateName {
			if err := os.RemoveAll(filepath.Join(d.path, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(d.path)
}

// alone is how many containers one goroutine reads as fast as several.
const alone = 32

// Each opens the directories of the containers below root, including those of others. f takes the
// directory over, or gets the error of opening it. If there are many, several goroutines call f.
func Each(root string, f func(id string, d *Dir, err error)) error {
	r, err := openRoot(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.close()
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() || CheckID(e.Name()) != nil })
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < len(entries); i = int(next.Add(1)) - 1 {
			id := entries[i].Name()
			d, err := r.open(id)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%q: %w (in %s)", id, ErrNotExist, root)
			}
			f(id, d, err)
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(entries)/alone) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return nil
}
