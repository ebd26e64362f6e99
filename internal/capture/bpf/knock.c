//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * A socket filter that picks out the packets that concern a door. It observes: it lets nothing through to its socket, and
 * the host's own traffic is not its business. What it picks goes to a ring, or is held back: see held.h.
 */
#include "held.h"

/* Ports of which something is asked, a bit each: TCP's, then UDP's. Most packets of a host are done with here. */
struct bits {
	u8 bit[65536 / 8];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct bits);
} asked SEC(".maps");

inlined int is_asked(u32 proto, u16 port)
{
	u32 udp = proto == UDP, number = network16(port);
	struct bits *bits;

	if (proto != TCP && !udp)
		return 0;
	bits = map_lookup(&asked, &udp);
	return bits && bits->bit[number >> 3 & 8191] >> (number & 7) & 1;
}

/* What is asked of a port. */
struct door {
	/* Bit i: a packet with the TCP flags i is asked for. */
	u64 flags;
	u64 marks;
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 2 * 65536);
	__type(key, u32);
	__type(value, struct door);
} doors SEC(".maps");

/* Own addresses and targets, each with the number it has in records. */
struct destination {
	u32 family, addr[4];
};

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, NO_PREALLOC);
	__type(key, struct destination);
	__type(value, u32);
} destinations SEC(".maps");

inlined u32 destination_number(const struct network *n)
{
	struct destination d = {.family = n->family, .addr = {n->dst[0], n->dst[1], n->dst[2], n->dst[3]}};
	u32 *number = map_lookup(&destinations, &d);

	return number ? *number : 0;
}

/* Whether it is a frame of a VLAN: a tag whose number is 0 has but a priority. */
inlined int tagged(struct __sk_buff *skb) { return skb->vlan_present && skb->vlan_tci & 0xfff; }

inlined int network_header(struct __sk_buff *skb, struct network *n)
{
	if (skb->protocol == network16(ETHER_IPV4))
		return ipv4_header(skb, n);
	if (skb->protocol == network16(ETHER_IPV6))
		return ipv6_header(skb, n);
	return 0;
}

/* Looks closer at a packet to a port of which something is asked. */
inlined void judge(struct __sk_buff *skb, const struct network *n, const struct door *door)
{
	struct record r[2] = {};
	u32 zero = 0;
	struct setting *s = map_lookup(&settings, &zero);
	int flags;

	if (!s || (s->no_vlan && tagged(skb)) || impossible_source(n, skb->ifindex))
		return;
	flags = transport_flags(skb, n);
	if (flags < 0 || !(door->flags >> flags & 1))
		return;
	r[1].dst = destination_number(n);
	if (!r[1].dst)
		return;
	r[1].time = boottime();
	__builtin_memcpy(r[1].src, n->src, sizeof(n->src));
	r[1].ifindex = skb->ifindex;
	r[1].sport = network16(n->ports[0]);
	r[1].dport = network16(n->ports[1]);
	r[1].proto = n->proto;
	r[1].flags = flags;
	r[1].family = n->family;
	admit(r, door->marks, s);
}

SEC("socket") int knock(struct __sk_buff *skb)
{
	struct network n;
	struct door *door;
	u32 key;

	if (!network_header(skb, &n) || !is_asked(n.proto, n.ports[1]))
		return 0;
	key = (n.proto == UDP) << 16 | network16(n.ports[1]);
	door = map_lookup(&doors, &key);
	if (door && door->flags)
		judge(skb, &n, door);
	return 0;
}

/* Of the helpers used none asks for the GPL. */
char _license[] SEC("license") = "Dual MIT/GPL";
