package birth

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// streams are the standard streams, completed with /dev/null.
func (b *Birth) streams() ([3]*os.File, error) {
	files := [3]*os.File{b.Stdin, b.Stdout, b.Stderr}
	var null *os.File
	for i, f := range files {
		if f != nil {
			continue
		}
		if null == nil {
			var err error
			if null, err = b.lend(os.OpenFile("/dev/null", os.O_RDWR, 0)); err != nil {
				return files, err
			}
		}
		files[i] = null
	}
	return files, nil
}

// gaps are the numbers of the preserved descriptors that are not open.
func gaps(preserved []*os.File) (list []int) {
	for i, f := range preserved {
		if f == nil {
			list = append(list, 3+i)
		}
	}
	return list
}

// filled puts a file into the gaps. Otherwise the program's own descriptors would get
// these numbers.
func filled(preserved []*os.File, file *os.File) []*os.File {
	list := slices.Clone(preserved)
	for i, f := range list {
		if f == nil {
			list[i] = file
		}
	}
	return list
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

func openPath(name string) (*os.File, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}
