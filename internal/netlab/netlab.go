// Package netlab makes private network laboratories: network namespaces, the veth pairs between them, and processes
// re-executed in namespaces of their own. Tests, benchmarks and the demo use it, so that none of them ever touches the
// host's network, firewall or /run.
//
// What knows the testing package belongs in netlabtest; what knows doors or knocks does not belong here.
package netlab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// wait bounds every wait for the kernel in this package. It is generous: a loaded machine may be ten times slower.
const wait = 20 * time.Second

// Unsupported is the reason why this system has no laboratory: user or network namespaces are denied or absent.
type Unsupported struct {
	What string // what was tried, as in "making a veth pair"
	Err  error
}

// Error says what was tried and what the system answered.
func (u *Unsupported) Error() string {
	return fmt.Sprintf("no network namespaces here: %s: %v", u.What, u.Err)
}

// Unwrap returns the system's answer.
func (u *Unsupported) Unwrap() error { return u.Err }

// unsupported turns an error that means "this system does not allow it" into Unsupported and leaves others alone.
// Seen: EPERM and EACCES from security modules, ENOSPC and EUSERS from user.max_*_namespaces, EINVAL and ENOSYS from
// kernels without the namespace, EOPNOTSUPP from kernels without veth.
func unsupported(what string, err error) error {
	if err == nil {
		return nil
	}
	for _, no := range []error{fs.ErrPermission, unix.ENOSPC, unix.EUSERS, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} {
		if errors.Is(err, no) {
			return &Unsupported{What: what, Err: err}
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// netnsID names the network namespace of the process's first thread, as in "net:[4026531840]".
func netnsID() (string, error) { return os.Readlink("/proc/self/ns/net") }
