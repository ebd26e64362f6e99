//go:build unix && !linux

package client

import "errors"

// bindToDevice refuses: only Linux has SO_BINDTODEVICE.
func bindToDevice(int, string) error {
	return errors.New("this system cannot bind a socket to an interface; use --source")
}
