/* SPDX-License-Identifier: MIT */
/*
 * From the network header to the transport header. What is refused here is what package packet refuses, and nothing
 * else; there the rules are told with their sources.
 */
#pragma once

#include "kernel.h"

enum { TCP = 6, UDP = 17 };
enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION = 60 };
enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd };
enum { MAX_EXTENSIONS = 8 };
/* The loopback interface of every namespace (net/core/dev.c, LOOPBACK_IFINDEX). */
enum { LOOPBACK = 1 };

struct ipv4 {
	u8 version, tos;
	u16 length, id, fragment;
	u8 ttl, proto;
	u16 checksum;
	u32 src, dst;
	/* Of the transport header, where no options come before it. */
	u16 ports[2];
};

struct ipv6 {
	u8 version, rest[3];
	u16 length;
	u8 proto, hops;
	u32 src[4], dst[4];
	/* Of the transport header, where no extension headers come before it. */
	u16 ports[2];
};

/* The sizes of both, without the ports. */
enum { IPV4_HEADER = 20, IPV6_HEADER = 40 };

/* What the IP headers say. */
struct network {
	u32 src[4], dst[4];
	/* 4 or 6 */
	u32 family;
	/* Offsets of the transport header and of the packet's end. */
	u32 start, end;
	u32 proto;
	/* More fragments follow. */
	u32 first;
	/* Source and destination port, in network order. */
	u16 ports[2];
};

/*
 * Copies bytes of the packet. That is a call into the kernel and by far the dearest part of looking at a packet in no
 * door, for which therefore there is only one: the ports come with the header.
 */
#define copied(skb, offset, to) (!load_bytes(skb, offset, to, sizeof(*(to))))

/* Whether something is asked of a port, in network order, of TCP or UDP. In knock.c. */
inlined int is_asked(u32 proto, u16 port);

inlined int later_ports(struct __sk_buff *skb, struct network *n) { return copied(skb, n->start, &n->ports); }

inlined int ipv4_header(struct __sk_buff *skb, struct network *n)
{
	struct ipv4 h;

	if (!copied(skb, 0, &h) || h.version >> 4 != 4)
		return 0;
	if ((h.version & 15) * 4 == IPV4_HEADER && !is_asked(h.proto, h.ports[1]))
		return 0;
	if (h.fragment & network16(0x1fff))
		return 0;
	n->family = 4;
	n->proto = h.proto;
	n->start = (h.version & 15) * 4;
	n->end = network16(h.length);
	n->first = h.fragment & network16(0x2000);
	n->src[0] = h.src;
	n->src[1] = n->src[2] = n->src[3] = 0;
	n->dst[0] = h.dst;
	n->dst[1] = n->dst[2] = n->dst[3] = 0;
	if (n->start != IPV4_HEADER)
		return n->start > IPV4_HEADER && later_ports(skb, n);
	__builtin_memcpy(n->ports, h.ports, sizeof(h.ports));
	return 1;
}

inlined int is_extension(u32 proto)
{
	return proto == HOP_BY_HOP || proto == ROUTING || proto == FRAGMENT || proto == AUTHENTICATION ||
	       proto == DESTINATION;
}

/* Moves n over the extension header at its start. */
inlined int skip_extension(struct __sk_buff *skb, struct network *n)
{
	u8 e[8];
	u32 size;

	if (n->start + sizeof(e) > n->end || !copied(skb, n->start, &e))
		return 0;
	size = (e[1] + 1) * 8;
	if (n->proto == FRAGMENT) {
		if (e[2] || e[3] & 0xf8)
			return 0;
		n->first |= e[3] & 1;
		size = 8;
	} else if (n->proto == AUTHENTICATION) {
		size = (e[1] + 2) * 4;
	} else if (n->proto == ROUTING && e[3]) {
		return 0;
	}
	n->proto = e[0];
	n->start += size;
	return n->start <= n->end;
}

inlined int ipv6_header(struct __sk_buff *skb, struct network *n)
{
	struct ipv6 h;

	if (!copied(skb, 0, &h) || h.version >> 4 != 6)
		return 0;
	if (!is_extension(h.proto) && !is_asked(h.proto, h.ports[1]))
		return 0;
	n->family = 6;
	n->proto = h.proto;
	n->first = 0;
	n->start = IPV6_HEADER;
	n->end = IPV6_HEADER + network16(h.length);
	__builtin_memcpy(n->src, h.src, sizeof(h.src));
	__builtin_memcpy(n->dst, h.dst, sizeof(h.dst));
	if (!is_extension(n->proto)) {
		__builtin_memcpy(n->ports, h.ports, sizeof(h.ports));
		return 1;
	}
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (!is_extension(n->proto))
			break;
		if (n->proto == HOP_BY_HOP && i > 0)
			return 0;
		if (!skip_extension(skb, n))
			return 0;
	}
	return !is_extension(n->proto) && later_ports(skb, n);
}

/* No host can have such an address, or not where it came from. */
inlined int impossible_source(const struct network *n, u32 ifindex)
{
	const u8 *b = (const u8 *)n->src;

	if (n->family == 4) {
		if (b[0] == 127)
			return ifindex != LOOPBACK;
		return b[0] == 0 || b[0] >> 4 == 14 || n->src[0] == 0xffffffff;
	}
	if (b[0] == 0xff)
		return 1;
	if (n->src[0] || n->src[1])
		return 0;
	if (b[8] == 0 && b[9] == 0 && b[10] == 0xff && b[11] == 0xff)
		return 1;
	if (n->src[2])
		return 0;
	if (n->src[3] == 0)
		return 1;
	return b[12] == 0 && b[13] == 0 && b[14] == 0 && b[15] == 1 && ifindex != LOOPBACK;
}

/* The TCP flags, 0 for UDP, or -1 for what is refused. */
inlined int transport_flags(struct __sk_buff *skb, const struct network *n)
{
	u8 t[20];
	u32 length;

	if (n->end > skb->len)
		return -1;
	if (n->proto == TCP) {
		if (n->start + 20 > n->end || load_bytes(skb, n->start, t, 20))
			return -1;
		length = (t[12] >> 4) * 4;
		return length < 20 || n->start + length > n->end ? -1 : t[13] & 0x3f;
	}
	if (n->start + 8 > n->end || load_bytes(skb, n->start, t, 8))
		return -1;
	length = t[4] << 8 | t[5];
	return length < 8 || (length > n->end - n->start && !n->first) ? -1 : 0;
}
