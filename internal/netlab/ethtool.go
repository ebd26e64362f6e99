package netlab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolValue is struct ethtool_value of linux/ethtool.h.
type ethtoolValue struct{ cmd, data uint32 }

// ifreqPointer is struct ifreq of linux/if.h with ifr_data in its union (40 bytes on 64-bit systems, 32 on others).
type ifreqPointer struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// noChecksumOffload makes the kernel compute the checksums of what leaves through an interface, as
// "ethtool -K NAME tx off" does.
func noChecksumOffload(n *Namespace, name string) error {
	return n.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening a socket for ethtool: %w", err)
		}
		defer func() { _ = unix.Close(fd) }()
		value := ethtoolValue{cmd: unix.ETHTOOL_STXCSUM}
		req := ifreqPointer{data: unsafe.Pointer(&value)}
		copy(req.name[:len(req.name)-1], name)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			return fmt.Errorf("switching off checksum offload of %s: %w", name, errno)
		}
		return nil
	})
}
