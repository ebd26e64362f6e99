package netlab

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Inside reports whether this process was started by Reexec, or by a process that was.
func Inside() bool { return os.Getenv(outsideEnv) != "" }

// Enter makes the namespaces that Reexec started this process in usable: mounts made here stay here, /run is an empty
// tmpfs (xtables' lock, sockets and pid files are private), loopback is up, and a veth pair could be made, which some
// systems deny although they allow the namespaces: then the error is an *Unsupported.
func Enter() error {
	id, err := netnsID()
	if err != nil {
		return fmt.Errorf("reading the network namespace: %w", err)
	}
	if !Inside() || os.Getenv(outsideEnv) == id {
		return errors.New("this process is not in namespaces of its own")
	}
	if err := privateRun(); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	return tryVeth()
}

func privateRun() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return unsupported("making mounts private", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return unsupported("mounting a tmpfs on /run", err)
	}
	// iptables-legacy would otherwise wait for whoever holds the lock of the host.
	if err := os.Setenv("XTABLES_LOCKFILE", "/run/xtables.lock"); err != nil {
		return fmt.Errorf("setting XTABLES_LOCKFILE: %w", err)
	}
	return nil
}

// tryVeth finds out whether devices may be made here by making one.
func tryVeth() error {
	n, err := New()
	if err != nil {
		return err
	}
	err = Veth(n, "try0", n, "try1")
	return errors.Join(err, n.Close())
}
