package daemon

import (
	"path/filepath"
	"strings"
)

// controlPointer, in runtimeDir, names the socket of the daemon that runs with a configuration: the file may say another by
// now, or none.
func controlPointer(configPath string) (string, error) {
	abs, err := filepath.Abs(configPath)
	if err != nil {
		return "", err
	}
	return "control-" + digest([]byte(abs))[:16], nil
}

func pointToControl(configPath, socket string) error {
	name, err := controlPointer(configPath)
	if err != nil {
		return err
	}
	return writePrivate(runtimeDir, name, []byte(socket+"\n"))
}

// RunningControl returns the control socket that the last daemon with a configuration listened on, in this boot; empty if that
// is not known.
func RunningControl(configPath string) string {
	name, err := controlPointer(configPath)
	if err != nil {
		return ""
	}
	text, err := readPrivate(filepath.Join(runtimeDir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
