package firewall

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// attrs are netlink attributes as they are written one after another: length, kind, value, each padded to four bytes.
// It exists beside the library's encoder because a grant must not cost an allocation an attribute.
type attrs []byte

func (a attrs) bytes(kind uint16, value []byte) attrs {
	a = binary.NativeEndian.AppendUint16(a, uint16(4+len(value)))
	a = binary.NativeEndian.AppendUint16(a, kind)
	a = append(a, value...)
	return a.pad()
}

func (a attrs) pad() attrs {
	for len(a)%4 != 0 {
		a = append(a, 0)
	}
	return a
}

// text writes a name with the zero byte that nf_tables wants.
func (a attrs) text(kind uint16, value string) attrs {
	a = binary.NativeEndian.AppendUint16(a, uint16(4+len(value)+1))
	a = binary.NativeEndian.AppendUint16(a, kind)
	a = append(a, value...)
	a = append(a, 0)
	return a.pad()
}

func (a attrs) u32(kind uint16, value uint32) attrs {
	a = binary.NativeEndian.AppendUint16(a, 8)
	a = binary.NativeEndian.AppendUint16(a, kind)
	return binary.BigEndian.AppendUint32(a, value)
}

func (a attrs) u64(kind uint16, value uint64) attrs {
	a = binary.NativeEndian.AppendUint16(a, 12)
	a = binary.NativeEndian.AppendUint16(a, kind)
	return binary.BigEndian.AppendUint64(a, value)
}

// open begins a nested attribute and returns where, for end.
func (a attrs) open(kind uint16) (attrs, int) {
	at := len(a)
	a = append(a, 0, 0)
	return binary.NativeEndian.AppendUint16(a, kind|unix.NLA_F_NESTED), at
}

// end closes the nested attribute that was begun at.
func (a attrs) end(at int) attrs {
	binary.NativeEndian.PutUint16(a[at:], uint16(len(a)-at))
	return a
}

// begin starts a message's body with its struct nfgenmsg (linux/netfilter/nfnetlink.h).
func begin(family byte, resource uint16) attrs {
	return binary.BigEndian.AppendUint16(attrs{family, unix.NFNETLINK_V0}, resource)
}

// message is one nf_tables message.
func message(kind int, flags netlink.HeaderFlags, body attrs) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind),
			Flags: netlink.Request | flags,
		},
		Data: body,
	}
}

// decode calls each with the attributes in b, in order.
func decode(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[4:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

// attributes are those of a whole message, behind its struct nfgenmsg.
func attributes(m netlink.Message, each func(kind uint16, value []byte)) {
	if len(m.Data) >= 4 {
		decode(m.Data[4:], each)
	}
}

func toText(b []byte) string {
	if len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return string(b)
}

func toU32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func toU64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
