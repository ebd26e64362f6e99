package capture

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"knockd/internal/capture/bpf"
	"knockd/internal/config"
)

// extended is the eBPF backend: one program at all sockets, its maps, and one goroutine that reads its ring. It needs
// Linux 5.8 (BPF ring buffers).
type extended struct {
	out     outlet
	objects bpf.KnockObjects
	tables  tables
	events  *eventReader
}

// openEBPF returns the eBPF backend, or why there is none here; that wraps ErrCapability if a capability would help.
func openEBPF(out outlet) (backend, error) {
	if err := Probe(); err != nil {
		return nil, err
	}
	e := &extended{out: out}
	if err := loadEBPF(&e.objects); err != nil {
		return nil, err
	}
	if err := e.start(); err != nil {
		return nil, errors.Join(err, e.objects.Close())
	}
	return e, nil
}

func (e *extended) start() (err error) {
	if e.tables, err = newTables(&e.objects.KnockMaps); err != nil {
		return err
	}
	if e.events, err = newEventReader(e.out, e.objects.Ring, e.tables.names); err != nil {
		return err
	}
	e.events.start()
	return nil
}

func (e *extended) kind() config.Backend { return config.CaptureEBPF }

// update changes the maps under the running program.
func (e *extended) update(r rules) error { return e.tables.update(r) }

func (e *extended) attach(t tap) (socket, error) {
	fd, err := openPacket()
	if err != nil {
		return nil, err
	}
	s := &extendedSocket{tap: t, fd: fd, counts: e.objects.Counts, events: e.events}
	if err := e.listen(s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// listen makes s ready, in the order that loses and lets in nothing: program, reader, bind.
func (e *extended) listen(s *extendedSocket) error {
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, e.objects.Knock.FD()); err != nil {
		return fmt.Errorf("attaching the program: %w", err)
	}
	if err := s.beginCounts(); err != nil {
		return err
	}
	if err := e.events.add(s); err != nil {
		return err
	}
	return bindPacket(s.fd, s.tap)
}

func (e *extended) close() {
	e.events.close()
	// Nothing can be done about errors here, and none is possible with descriptors of our own.
	_ = e.objects.Close()
}

// loadEBPF loads the program and makes its maps. Before Linux 5.11 maps count against RLIMIT_MEMLOCK: where that is in
// the way it is lifted meanwhile, which needs CAP_SYS_RESOURCE.
func loadEBPF(o *bpf.KnockObjects) error {
	err := bpf.LoadKnockObjects(o, nil)
	if errors.Is(err, unix.EPERM) {
		var old unix.Rlimit
		lifted := unix.Rlimit{Cur: math.MaxUint64, Max: math.MaxUint64}
		if unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &lifted, &old) == nil {
			err = bpf.LoadKnockObjects(o, nil)
			_ = unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &old, nil)
		}
	}
	switch {
	case errors.Is(err, unix.EPERM):
		// The library's own words suggest what was just tried.
		return lacking("CAP_BPF", fmt.Errorf("loading the program: %w", unix.EPERM))
	case err != nil:
		return fmt.Errorf("loading the program, for which Linux 5.8 is needed: %w", err)
	}
	return nil
}
