package advice

import (
	"encoding/binary"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nftRule is one rule; an expression that the library does not know is nil.
type nftRule []expr.Any

// dumpRules reads every rule of every table. The library's own reading leaves out expressions that it does not know, and a
// rule that lost a match would seem to match everything.
func dumpRules() (map[string]map[string][]nftRule, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	replies, err := conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE),
			Flags: netlink.Request | netlink.Dump,
		},
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return nil, err
	}
	rules := map[string]map[string][]nftRule{}
	for _, m := range replies {
		if err := addRule(rules, m.Data); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// addRule reads one rule, behind a struct nfgenmsg.
func addRule(rules map[string]map[string][]nftRule, data []byte) error {
	if len(data) < 4 {
		return nil
	}
	attrs, err := attributes(data[4:])
	if err != nil {
		return err
	}
	t := &nftables.Table{Family: nftables.TableFamily(data[0]), Name: text(attrs[unix.NFTA_RULE_TABLE])}
	rule, err := expressions(data[0], attrs[unix.NFTA_RULE_EXPRESSIONS])
	if err != nil {
		return err
	}
	if rules[key(t)] == nil {
		rules[key(t)] = map[string][]nftRule{}
	}
	chain := text(attrs[unix.NFTA_RULE_CHAIN])
	rules[key(t)][chain] = append(rules[key(t)][chain], rule)
	return nil
}

func text(b []byte) string {
	if n := len(b); n > 0 && b[n-1] == 0 {
		b = b[:n-1]
	}
	return string(b)
}

// attributes reads attributes of which each stands once.
func attributes(data []byte) (map[uint16][]byte, error) {
	list, err := netlink.UnmarshalAttributes(data)
	if err != nil {
		return nil, err
	}
	m := map[uint16][]byte{}
	for _, a := range list {
		m[a.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = a.Data
	}
	return m, nil
}

// expressions reads the list of a rule's expressions.
func expressions(family byte, data []byte) (nftRule, error) {
	list, err := netlink.UnmarshalAttributes(data)
	if err != nil {
		return nil, err
	}
	var rule nftRule
	for _, a := range list {
		attrs, err := attributes(a.Data)
		if err != nil {
			return nil, err
		}
		rule = append(rule, expression(family, text(attrs[unix.NFTA_EXPR_NAME]), attrs[unix.NFTA_EXPR_DATA]))
	}
	return rule, nil
}

// expression reads one expression, nil if it is none of those that are understood.
func expression(family byte, name string, data []byte) expr.Any {
	if e := marker(name); e != nil {
		return e
	}
	e := blank(name)
	if e == nil || name == "bitwise" && shifts(data) {
		return nil
	}
	if expr.Unmarshal(family, data, e) != nil {
		return nil
	}
	if i, ok := e.(*expr.Immediate); ok && i.Register == unix.NFT_REG_VERDICT {
		v := &expr.Verdict{}
		if expr.Unmarshal(family, data, v) != nil {
			return nil
		}
		return v
	}
	return e
}

func blank(name string) expr.Any {
	switch name {
	case "meta":
		return &expr.Meta{}
	case "payload":
		return &expr.Payload{}
	case "ct":
		return &expr.Ct{}
	case "fib":
		return &expr.Fib{}
	case "immediate":
		return &expr.Immediate{}
	case "bitwise":
		return &expr.Bitwise{}
	case "cmp":
		return &expr.Cmp{}
	case "range":
		return &expr.Range{}
	case "lookup":
		return &expr.Lookup{}
	default:
		return blankAction(name)
	}
}

func blankAction(name string) expr.Any {
	switch name {
	case "reject":
		return &expr.Reject{}
	case "match":
		return &expr.Match{}
	case "target":
		return &expr.Target{}
	case "nat":
		return &expr.NAT{}
	case "redir":
		return &expr.Redir{}
	case "counter":
		return &expr.Counter{}
	case "log":
		return &expr.Log{}
	case "objref":
		return &expr.Objref{}
	default:
		return nil
	}
}

// marker is an expression of which the name is enough.
func marker(name string) expr.Any {
	switch name {
	case "limit", "quota", "connlimit", "dynset", "last":
		return &passing{}
	case "notrack":
		return &expr.Notrack{}
	default:
		return nil
	}
}

// passing is an expression that may match or not, and does nothing else to the packet.
type passing struct{ expr.Quota }

// shifts reports whether a bitwise expression does something but masking (NFTA_BITWISE_OP other than mask-and-xor).
func shifts(data []byte) bool {
	const operation = 6
	attrs, err := attributes(data)
	return err != nil || len(attrs[operation]) == 4 && binary.BigEndian.Uint32(attrs[operation]) != 0
}
