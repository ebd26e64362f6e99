package firewall

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
)

// ErrFull refuses a grant at a door that has MaxOpen of them.
var ErrFull = errors.New("the door has as many grants as Max_Open allows")

// ErrNoDoor refuses a grant at a door that was not installed.
var ErrNoDoor = errors.New("no such native door")

// errLost is the table, or a set, that is not where it was installed.
var errLost = errors.New("the nftables table inet knockd is not as it was installed")

// IsLost reports whether an error means that somebody took our table, or a part of it, away: Install puts it back.
func IsLost(err error) bool { return errors.Is(err, errLost) }

// PermissionError is what the kernel answers to a process without CAP_NET_ADMIN. It is an fs.ErrPermission.
type PermissionError struct{}

// Error names the capability and how to give it.
func (*PermissionError) Error() string {
	return "nftables needs the capability CAP_NET_ADMIN: run as root, or give it with AmbientCapabilities=CAP_NET_ADMIN in " +
		"the unit or `setcap cap_net_admin,cap_net_raw+ep` on the program"
}

// Is makes errors.Is(err, fs.ErrPermission) true.
func (*PermissionError) Is(target error) bool { return target == fs.ErrPermission }

// OwnedError is returned where another living process owns the table: two daemons can't hide ports at once.
type OwnedError struct {
	// Port is the netlink port of the owner, as a rule its process id.
	Port uint32
}

// Error names the owner.
func (e *OwnedError) Error() string {
	return fmt.Sprintf("the table inet knockd belongs to another process (%d): stop it first", e.Port)
}

// UnsupportedError is a kernel without nf_tables.
type UnsupportedError struct{ Err error }

// Error says what is missing.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("this kernel has no nftables (CONFIG_NF_TABLES, module nf_tables): %v", e.Err)
}

// Unwrap returns the kernel's answer.
func (e *UnsupportedError) Unwrap() error { return e.Err }

// SetError is what is wrong with a set of the user's that a door names.
type SetError struct {
	Door string
	Set  config.SetRef
	// Problem is what is wrong, as in "does not exist".
	Problem string
	// Remedy is the command that makes it right, empty if there is none to name.
	Remedy string
	Err    error
}

// Error names the door, the set, what is wrong and the command that helps.
func (e *SetError) Error() string {
	text := fmt.Sprintf("%s: the set %s %s", e.Door, setName(e.Set), e.Problem)
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// Unwrap returns the kernel's answer, if there is one.
func (e *SetError) Unwrap() error { return e.Err }

func setName(s config.SetRef) string { return s.Family + " " + s.Table + " " + s.Set }

// explain gives the kernel's answers their types.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return &PermissionError{}
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}
