package capture

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// witness is a socket that the kernel serves after those of capture: what came before a packet that the witness has
// seen, capture's sockets have got, or never will. The kernel asks sockets of one interface and one network protocol
// last (__netif_receive_skb_core in net/core/dev.c).
type witness struct {
	t  testing.TB
	fd int
	// next numbers the marks.
	next uint32
}

func newWitness(t testing.TB, n *netlab.Namespace, name string) *witness {
	t.Helper()
	w := &witness{t: t}
	at := index(t, n, name)
	netlabtest.Check(t, n.Do(func() (err error) {
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	t.Cleanup(func() { _ = unix.Close(w.fd) })
	patience := unix.NsecToTimeval(waitBound.Nanoseconds())
	netlabtest.Check(t, unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO,
		&patience))
	w.onlyMarks()
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: at.Index}
	netlabtest.Check(t, unix.Bind(w.fd, to))
	return w
}

// onlyMarks keeps everything else out of the receive buffer, which is small.
func (w *witness) onlyMarks() {
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: markProtocol, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 64},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	netlabtest.Check(w.t, unix.SetsockoptSockFprog(w.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}))
}

// markProtocol is an IP protocol for experiments (RFC 3692).
const markProtocol = 253

// mark returns an IP packet that no door wants and the witness knows.
func (w *witness) mark() []byte {
	w.next++
	none := netip.AddrFrom4([4]byte{192, 0, 2, 255})
	return packettest.Build(packet.Packet{Src: none, Dst: none, Port: packet.Port{Proto: markProtocol}},
		packettest.Options{Payload: binary.BigEndian.AppendUint32(nil, w.next)})
}

// wait returns when the last mark was seen.
func (w *witness) wait() {
	w.t.Helper()
	deadline := time.Now().Add(waitBound)
	b := make([]byte, 64)
	for time.Now().Before(deadline) {
		n, _, err := unix.Recvfrom(w.fd, b, 0)
		if err == nil && n >= 24 && binary.BigEndian.Uint32(b[20:]) == w.next {
			return
		}
	}
	w.t.Fatal("the witness saw no mark")
}

// burst runs send, which sends packets, on one processor, so that the kernel keeps them in order, and returns when
// they have arrived.
func (w *witness) burst(i *netlab.Injector, send func()) {
	w.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	netlabtest.Check(w.t, unix.SchedGetaffinity(0, &before))
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	netlabtest.Check(w.t, unix.SchedSetaffinity(0, &one))
	defer func() { netlabtest.Check(w.t, unix.SchedSetaffinity(0, &before)) }()
	send()
	netlabtest.Check(w.t, i.SendIP(w.mark()))
	w.wait()
}
