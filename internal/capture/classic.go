package capture

import (
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/filter"
)

// leastInstructions is the least that a program may have to be worth attaching.
const leastInstructions = 32

// classic is the backend that every kernel has: one classic BPF program at each socket, which has a goroutine that
// reads its ring.
type classic struct {
	out     outlet
	spec    filter.Spec
	program program
	sockets map[*reader]struct{}
	// open is openSource, but in tests.
	open func(fd, size int) (source, error)
}

// openClassic returns the classic backend, or an error that wraps ErrCapability.
func openClassic(out outlet) (backend, error) {
	if err := Probe(); err != nil {
		return nil, err
	}
	return &classic{out: out, sockets: map[*reader]struct{}{}, open: openSource}, nil
}

func (c *classic) kind() config.Backend { return config.CaptureClassic }

// update attaches a new program in the place of the old one, which the kernel does between two packets.
func (c *classic) update(r rules) error {
	c.spec = r.spec
	c.program = compile(r.spec, filter.MaxInstructions)
	for s := range c.sockets {
		if err := c.filter(s.fd); err != nil {
			return err
		}
	}
	return nil
}

// filter attaches the program, a wider and shorter one each time that the kernel has no room for it (ENOMEM under a
// small net.core.optmem_max).
func (c *classic) filter(fd int) error {
	for {
		err := c.program.attach(fd)
		if errors.Is(err, unix.ENOMEM) {
			err = c.reattach(fd)
		}
		if err == nil || !tooLong(err) {
			return err
		}
		if c.program.limit/2 < leastInstructions {
			return unfiltered(fd)
		}
		c.program = compile(c.spec, c.program.limit/2)
	}
}

// reattach takes the old program away first: the limit counts both. Everything comes through meanwhile, and userspace
// sorts it.
func (c *classic) reattach(fd int) error {
	if err := unfiltered(fd); err != nil {
		return err
	}
	return c.program.attach(fd)
}

func tooLong(err error) bool {
	return errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EINVAL)
}

// unfiltered lets everything through, for a kernel that takes no program at all: userspace does all of the work.
func unfiltered(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("detaching the filter: %w", err)
	}
	return nil
}

func (c *classic) attach(t tap) (socket, error) {
	fd, err := openPacket()
	if err != nil {
		return nil, err
	}
	s, err := c.listen(fd, t)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c.sockets[s] = struct{}{}
	s.start(func() { delete(c.sockets, s) })
	return s, nil
}

// listen makes fd ready, in the order that loses and lets in nothing: filter, buffer, bind.
func (c *classic) listen(fd int, t tap) (*reader, error) {
	if err := c.filter(fd); err != nil {
		return nil, err
	}
	src, err := c.open(fd, ringSize(len(c.sockets)))
	if err != nil {
		return nil, err
	}
	s, err := newReader(c.out, t, fd, src)
	if err == nil {
		if err = bindPacket(fd, t); err == nil {
			return s, nil
		}
		s.waiter.close()
	}
	return nil, errors.Join(err, src.close())
}

func (c *classic) close() {}

// program is a compiled filter.
type program struct {
	limit int
	code  []unix.SockFilter
}

func compile(spec filter.Spec, limit int) program {
	instructions, _ := filter.Classic(spec, limit)
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		// Nothing that filter.Classic returns fails to assemble; if it did, userspace would do its work.
		raw = []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K, K: filter.SnapLen}}
	}
	p := program{limit: limit, code: make([]unix.SockFilter, len(raw))}
	for i, r := range raw {
		p.code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return p
}

func (p *program) attach(fd int) error {
	prog := &unix.SockFprog{Len: uint16(len(p.code)), Filter: &p.code[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog); err != nil {
		return fmt.Errorf("attaching a filter of %d instructions: %w", len(p.code), err)
	}
	return nil
}
