package firewall

import (
	"encoding/binary"
	"hash/fnv"
	"net"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"knockd/internal/packet"
)

// register is where the expressions of a rule hand over; addressRegister, four bytes into it, is where an address
// follows a door in the key of a rehearsal's record (NFT_REG_1 is NFT_REG32_00 to 03).
const (
	register        = unix.NFT_REG_1
	addressRegister = unix.NFT_REG32_00 + 1
)

// Where things are in the headers (RFC 791, 8200, 9293), and the fragment header's number.
const (
	saddr4     = 12
	saddr6     = 8
	dport      = 2
	tcpFlags   = 13
	fragOffset = 2
	fragment   = 44
)

func accept() expr.Any { return &expr.Verdict{Kind: expr.VerdictAccept} }

func native32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// cmp compares the register.
func cmp(op expr.CmpOp, data []byte) expr.Any {
	return &expr.Cmp{Op: op, Register: register, Data: data}
}

func lookup(set string, invert bool) expr.Any {
	return &expr.Lookup{SourceRegister: register, SetName: set, Invert: invert}
}

func and(mask []byte) expr.Any {
	return &expr.Bitwise{
		SourceRegister: register, DestRegister: register, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask)),
	}
}

func meta(key expr.MetaKey) expr.Any { return &expr.Meta{Key: key, Register: register} }

func header(base expr.PayloadBase, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: base, Offset: offset, Len: length}
}

// source loads the source address, of packets of that family only.
func source(v6 bool) rule {
	if v6 {
		return rule{
			meta(expr.MetaKeyNFPROTO), cmp(expr.CmpOpEq, []byte{unix.NFPROTO_IPV6}),
			header(expr.PayloadBaseNetworkHeader, saddr6, 16),
		}
	}
	return rule{
		meta(expr.MetaKeyNFPROTO), cmp(expr.CmpOpEq, []byte{unix.NFPROTO_IPV4}),
		header(expr.PayloadBaseNetworkHeader, saddr4, 4),
	}
}

// fromLoopback is `iif lo accept`; loopback's index is always 1 (LOOPBACK_IFINDEX in linux/netdevice.h).
func fromLoopback() rule {
	return rule{meta(expr.MetaKeyIIF), cmp(expr.CmpOpEq, native32(1)), accept()}
}

// notLeased is `meta l4proto != @lease accept`. The lease is asked before anything else: a packet of a protocol that
// no door hides costs no more than this.
func notLeased(lease string) rule {
	return rule{meta(expr.MetaKeyL4PROTO), lookup(lease, true), accept()}
}

// dispatch is `meta l4proto tcp th dport vmap @tcp`.
func dispatch(proto packet.Proto, ports string) rule {
	return rule{
		meta(expr.MetaKeyL4PROTO), cmp(expr.CmpOpEq, []byte{byte(proto)}),
		header(expr.PayloadBaseTransportHeader, dport, 2),
		&expr.Lookup{SourceRegister: register, SetName: ports, IsDestRegSet: true, DestRegister: unix.NFT_REG_VERDICT},
	}
}

// readable is `meta l4proto != 255 accept`: packets that are not to a hidden port, and whose protocol can be told.
func readable() rule {
	return rule{meta(expr.MetaKeyL4PROTO), cmp(expr.CmpOpNeq, []byte{255}), accept()}
}

// truncated is `meta nfproto ipv6 frag frag-off 0 drop`. Behind readable it meets first fragments without a transport
// header, which could hide a connection's first segment where conntrack does not put fragments together; RFC 7112,
// section 5, allows to discard them, and kernels since 5.10 do so themselves.
func truncated() rule {
	return rule{
		meta(expr.MetaKeyNFPROTO), cmp(expr.CmpOpEq, []byte{unix.NFPROTO_IPV6}),
		&expr.Exthdr{DestRegister: register, Type: fragment, Offset: fragOffset, Len: 2, Op: expr.ExthdrOpIpv6},
		and([]byte{0xff, 0xf8}), cmp(expr.CmpOpEq, []byte{0, 0}),
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// established is what lives on: for TCP `tcp flags & (fin|syn|rst|ack) != syn accept`, so that connections from before
// the table are never cut, even where conntrack does not know them; else `ct state established,related accept`. What
// can't be read here, as in a fragment that ends before its flags, is not accepted.
func established(proto packet.Proto) rule {
	if proto == packet.TCP {
		const fin, syn, rst, ack = 0x01, 0x02, 0x04, 0x10
		return rule{
			meta(expr.MetaKeyL4PROTO), cmp(expr.CmpOpEq, []byte{byte(proto)}),
			header(expr.PayloadBaseTransportHeader, tcpFlags, 1),
			and([]byte{fin | syn | rst | ack}), cmp(expr.CmpOpNeq, []byte{syn}), accept(),
		}
	}
	return rule{
		&expr.Ct{Register: register, Key: expr.CtKeySTATE},
		and(native32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)), cmp(expr.CmpOpNeq, native32(0)), accept(),
	}
}

// granted is `ip saddr & 255.255.255.0 @door0_4 accept`.
func granted(c *cell) rule {
	r := source(c.v6)
	length := int(c.key().length)
	if c.bits < length*8 {
		r = append(r, and(net.CIDRMask(c.bits, length*8)))
	}
	return append(r, lookup(c.set, false), accept())
}

// jump is `jump exempt`.
func jump(chain string) rule { return rule{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}} }

// passedOn is `fib daddr type != @local accept`: what is not for this machine.
func passedOn(local string) rule {
	return rule{&expr.Fib{Register: register, FlagDADDR: true, ResultADDRTYPE: true}, lookup(local, true), accept()}
}

// allowedSource is `ip saddr @allow4 accept`.
func allowedSource(set string, v6 bool) rule { return append(source(v6), lookup(set, false), accept()) }

// allowedInterface is `iifname @interfaces accept`.
func allowedInterface(set string) rule {
	return rule{meta(expr.MetaKeyIIFNAME), lookup(set, false), accept()}
}

func drop() rule { return rule{&expr.Verdict{Kind: expr.VerdictDrop}} }

// reset is `reject with tcp reset`, or `reject with icmpx port-unreachable`. In prerouting since Linux 5.9.
func reset(proto packet.Proto) rule {
	if proto == packet.TCP {
		return rule{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}
	}
	return rule{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}}
}

// seenFor is how long a rehearsal's record is kept when nobody reads it.
const seenFor = 30 * 24 * time.Hour

// record is `update @seen4 { 0x1b2c3d4e . ip saddr timeout 30d }`.
func record(door, set string, v6 bool) rule {
	r := source(v6)
	r[len(r)-1].(*expr.Payload).DestRegister = addressRegister
	return append(r,
		&expr.Immediate{Register: register, Data: native32(doorID(door))},
		&expr.Dynset{SrcRegKey: register, SetName: set, Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: seenFor})
}

// doorID stands for a door in a rehearsal's record. It depends on the name alone, so that the record outlives reloads.
func doorID(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return h.Sum32()
}
