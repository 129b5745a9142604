package birth

import (
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

// The socket of sd_notify(3) is in a directory of the container's state, which is mounted
// in the container. So it may be made after the container.
const (
	notifyDirectory = "notify"
	notifySocket    = "notify.sock"
	notifyMount     = "/run/notify"
)

// addNotify makes the directory and sets the variable of the container's process.
func (f *first) addNotify() error {
	if f.o.Notify == nil {
		return nil
	}
	path := filepath.Join(f.container.Dir.Path(), notifyDirectory)
	if err := os.Mkdir(path, 0o755); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	options := []string{"bind", "nosuid", "noexec", "nodev"}
	if !defence.Off(defence.NotifySocket) {
		// A container only connects there, for which it needs no writable mount.
		options = append(options, "ro")
	}
	f.spec.Mounts = append(f.spec.Mounts, specs.Mount{Destination: notifyMount, Type: "bind", Source: path, Options: options})
	if p := f.spec.Process; p != nil {
		p.Env = append(p.Env, "NOTIFY_SOCKET="+filepath.Join(notifyMount, notifySocket))
	}
	return f.o.Notify(filepath.Join(path, notifySocket))
}

// NotifySocket is where the container's process looks for the socket of sd_notify(3), or
// "" if the container was made without FirstOptions.Notify.
func (c Container) NotifySocket() string {
	path := filepath.Join(c.Dir.Path(), notifyDirectory)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return filepath.Join(path, notifySocket)
}
