// Package privilege lets go of the capabilities that a daemon without commands does not need, and names the one that is
// missing where the kernel refuses.
//
// What needs a capability belongs to the package that does it.
package privilege

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// The capabilities that native doors need (capabilities(7)): packet sockets, nftables, and loading BPF programs (Linux
// 5.8; before that CAP_SYS_ADMIN, which is let go, so that the classic filter is used after a reload).
func needed() []cap.Value { return []cap.Value{cap.NET_RAW, cap.NET_ADMIN, cap.BPF} }

// Drop keeps of the process's capabilities only those that packets and native doors need, on every thread, and lets
// nothing that is run from here on gain one. It returns the names of those that are left.
func Drop() ([]string, error) {
	have := cap.GetProc()
	keep := cap.NewSet()
	var names []string
	for _, value := range needed() {
		has, err := have.GetFlag(cap.Permitted, value)
		if errors.Is(err, cap.ErrBadValue) {
			continue // an older kernel does not know it
		}
		if err != nil {
			return nil, fmt.Errorf("reading the capabilities: %w", err)
		}
		if !has {
			continue
		}
		names = append(names, value.String())
		if err := errors.Join(keep.SetFlag(cap.Permitted, true, value), keep.SetFlag(cap.Effective, true, value)); err != nil {
			return nil, fmt.Errorf("choosing the capabilities: %w", err)
		}
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("refusing new capabilities: %w", err)
	}
	if err := keep.SetProc(); err != nil {
		return nil, fmt.Errorf("letting capabilities go: %w", err)
	}
	slices.Sort(names)
	return names, nil
}
