package image

import (
	"errors"
	"fmt"
	"os"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// File writes the image where the kernel can execute it and nobody can change it any more:
// a sealed memfd or, if executing a memfd is forbidden (vm.memfd_noexec since Linux 6.3,
// or a security module), a file on a detached tmpfs that was made read-only after writing.
// The descriptor is close-on-exec.
func (im *Image) File() (*os.File, error) {
	f, err := im.memfd()
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		return im.detached()
	}
	return f, err
}

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

func (im *Image) memfd() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("rt-init", flags|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3 every memfd was executable
		fd, err = unix.MemfdCreate("rt-init", flags)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "rt-init")
	if err := im.fill(f); err != nil {
		f.Close()
		return nil, err
	}
	if defence.Off(defence.SealedImage) {
		return f, nil
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, allSeals); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
	}
	return f, nil
}

// fill writes the image. access(2) tells whether the mount forbids execution, or the memfd
// has no execute permission.
func (im *Image) fill(f *os.File) error {
	if n, err := unix.Write(int(f.Fd()), im.bytes); err != nil {
		return os.NewSyscallError("write", err)
	} else if n < len(im.bytes) {
		return fmt.Errorf("the program of %d bytes was truncated at %d: RLIMIT_FSIZE is too low", len(im.bytes), n)
	}
	if err := unix.Faccessat(int(f.Fd()), "", unix.X_OK, unix.AT_EMPTY_PATH); err == unix.EACCES {
		return os.NewSyscallError("faccessat", err)
	}
	return nil
}

// detached writes the image to a tmpfs that is mounted in no mount namespace, makes the
// tmpfs read-only and reopens the file from it.
func (im *Image) detached() (*os.File, error) {
	fsfd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("executing a memfd is forbidden here (vm.memfd_noexec), and a private tmpfs for the init image: fsopen: %w", err)
	}
	defer unix.Close(fsfd)
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return nil, os.NewSyscallError("fsconfig", err)
	}
	mfd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, os.NewSyscallError("fsmount", err)
	}
	defer unix.Close(mfd)
	fd, err := unix.Openat(mfd, "init", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o555)
	if err != nil {
		return nil, os.NewSyscallError("openat", err)
	}
	w := os.NewFile(uintptr(fd), "init")
	err = im.fill(w)
	w.Close()
	if err != nil {
		return nil, err
	}
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(mfd, "", unix.AT_EMPTY_PATH, &readOnly); err != nil {
		return nil, os.NewSyscallError("mount_setattr", err)
	}
	if fd, err = unix.Openat(mfd, "init", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, os.NewSyscallError("openat", err)
	}
	return os.NewFile(uintptr(fd), "init"), nil
}
