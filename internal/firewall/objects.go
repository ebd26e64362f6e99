package firewall

import (
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// tableName is the table of our own, in the family inet.
const tableName = "knockd"

// The flags of a table that x/sys/unix lacks (linux/netfilter/nf_tables.h; owner Linux 5.12, persist 6.9).
const (
	tableOwner   = 0x2
	tablePersist = 0x4
)

// Attributes and values that x/sys/unix lacks (linux/netfilter/nf_tables.h).
const (
	tableHandle = 4 // NFTA_TABLE_HANDLE
	tableOwned  = 7 // NFTA_TABLE_OWNER
)

// create is the flag of what is made; that it is there already is no error.
const create = netlink.Create

func newTable(flags uint32) netlink.Message {
	body := begin(unix.NFPROTO_INET, 0).text(unix.NFTA_TABLE_NAME, tableName).u32(unix.NFTA_TABLE_FLAGS, flags)
	return message(unix.NFT_MSG_NEWTABLE, create, body)
}

func delTable() netlink.Message {
	return message(unix.NFT_MSG_DELTABLE, 0, begin(unix.NFPROTO_INET, 0).text(unix.NFTA_TABLE_NAME, tableName))
}

// hookPriority is the mangle priority: behind conntrack (-200), before destination NAT (-100).
const hookPriority = -150

// newBaseChain makes the chain that sees every packet that comes in.
func newBaseChain(name string) netlink.Message {
	body := begin(unix.NFPROTO_INET, 0).text(unix.NFTA_CHAIN_TABLE, tableName).text(unix.NFTA_CHAIN_NAME, name)
	body, at := body.open(unix.NFTA_CHAIN_HOOK)
	priority := int32(hookPriority)
	body = body.u32(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_PRE_ROUTING).u32(unix.NFTA_HOOK_PRIORITY, uint32(priority)).end(at)
	body = body.u32(unix.NFTA_CHAIN_POLICY, uint32(expr.VerdictAccept)).text(unix.NFTA_CHAIN_TYPE, "filter")
	return message(unix.NFT_MSG_NEWCHAIN, create, body)
}

func newChain(name string) netlink.Message { return chain(unix.NFT_MSG_NEWCHAIN, create, name) }

func delChain(name string) netlink.Message { return chain(unix.NFT_MSG_DELCHAIN, 0, name) }

func chain(kind int, flags netlink.HeaderFlags, name string) netlink.Message {
	return message(kind, flags,
		begin(unix.NFPROTO_INET, 0).text(unix.NFTA_CHAIN_TABLE, tableName).text(unix.NFTA_CHAIN_NAME, name))
}

// flushChain deletes the rules of a chain.
func flushChain(name string) netlink.Message {
	return message(unix.NFT_MSG_DELRULE, 0,
		begin(unix.NFPROTO_INET, 0).text(unix.NFTA_RULE_TABLE, tableName).text(unix.NFTA_RULE_CHAIN, name))
}

// rule is a list of expressions, each narrowing what the last one, a verdict, is for.
type rule []expr.Any

// newRule adds a rule at the end of a chain.
func newRule(chain string, r rule) (netlink.Message, error) {
	body := begin(unix.NFPROTO_INET, 0).text(unix.NFTA_RULE_TABLE, tableName).text(unix.NFTA_RULE_CHAIN, chain)
	body, at := body.open(unix.NFTA_RULE_EXPRESSIONS)
	for _, e := range r {
		b, err := expr.Marshal(unix.NFPROTO_INET, e)
		if err != nil {
			return netlink.Message{}, err
		}
		body = body.bytes(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, b)
	}
	return message(unix.NFT_MSG_NEWRULE, create|netlink.Append, body.end(at)), nil
}

// keyType is a set's key as nft knows it (enum datatypes in nftables' include/datatype.h) with its length in bytes.
type keyType struct {
	id     uint32
	length uint32
}

// The keys of the sets. A concatenation is its parts' numbers, six bits each, its length that of the padded parts.
var (
	keyIPv4      = keyType{7, 4}
	keyIPv6      = keyType{8, 16}
	keyProto     = keyType{12, 1}
	keyPort      = keyType{13, 2}
	keyFib       = keyType{38, 4}
	keyInterface = keyType{41, 16}
	keySeen4     = keyType{19<<6 | 7, 8}
	keySeen6     = keyType{19<<6 | 8, 20}
)

// set describes a set or, with the flag NFT_SET_MAP, a map to verdicts.
type set struct {
	name    string
	flags   uint32
	key     keyType
	size    uint32
	comment string
}

// setComment is the kind of a comment among a set's user data (libnftnl, enum nftnl_udata_set_types).
const setComment = 7

func newSet(s set, id uint32) netlink.Message {
	body := begin(unix.NFPROTO_INET, 0).text(unix.NFTA_SET_TABLE, tableName).text(unix.NFTA_SET_NAME, s.name)
	body = body.u32(unix.NFTA_SET_FLAGS, s.flags).u32(unix.NFTA_SET_KEY_TYPE, s.key.id).u32(unix.NFTA_SET_KEY_LEN, s.key.length)
	if s.flags&unix.NFT_SET_MAP != 0 {
		body = body.u32(unix.NFTA_SET_DATA_TYPE, unix.NFT_DATA_VERDICT)
	}
	body = body.u32(unix.NFTA_SET_ID, id)
	if s.size > 0 {
		var at int
		body, at = body.open(unix.NFTA_SET_DESC)
		body = body.u32(unix.NFTA_SET_DESC_SIZE, s.size).end(at)
	}
	if s.comment != "" {
		data := append([]byte{setComment, byte(len(s.comment) + 1)}, s.comment...)
		body = body.bytes(unix.NFTA_SET_USERDATA, append(data, 0))
	}
	return message(unix.NFT_MSG_NEWSET, create, body)
}

func delSet(name string) netlink.Message {
	return message(unix.NFT_MSG_DELSET, 0,
		begin(unix.NFPROTO_INET, 0).text(unix.NFTA_SET_TABLE, tableName).text(unix.NFTA_SET_NAME, name))
}

// flushSet deletes the elements of a set.
func flushSet(name string) netlink.Message {
	return message(unix.NFT_MSG_DELSETELEM, 0,
		begin(unix.NFPROTO_INET, 0).text(unix.NFTA_SET_ELEM_LIST_TABLE, tableName).text(unix.NFTA_SET_ELEM_LIST_SET, name))
}
