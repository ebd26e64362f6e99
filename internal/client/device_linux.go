package client

import "golang.org/x/sys/unix"

// bindToDevice makes a socket send through one interface. Kernels before 5.7 want CAP_NET_RAW for it.
func bindToDevice(fd int, name string) error { return unix.BindToDevice(fd, name) }
