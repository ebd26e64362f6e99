/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a packet that counts. In peace it is delivered at once. In a flood of strangers the first packet of a
 * source is held back in a table, and its second delivers both, in order and with their own times; from then on the
 * source is known, see known.h. So a forged source that sends once never wakes the daemon.
 *
 * The table is an array of buckets of 16 places, and a source has one place in the bucket that its tag chooses, until its
 * second packet; the oldest is overwritten. A bucket of 16 lives nearly as long as the table in the mean: with 524,288
 * places a packet is there after a second, 99 times in 100, if 268,000 strangers came meanwhile.
 *
 * Programs run on several processors at once, without a lock: a place has no owner while it is written. Its check word
 * therefore binds the source's tag to every other word of the place. A place torn between two writers matches no source,
 * and what nobody matches is lost as if it had been overwritten: no source ever gets the packet of another. Tag and
 * check are keyed by secrets of this run.
 */
#pragma once

#include "known.h"
#include "packet.h"

enum { RING_BYTES = 512 << 10, BUCKETS = 32768, PLACES = 16 };

/* What a place has room for; a packet with more is not held back. */
enum { DST_BITS = 20, IFINDEX_BITS = 25, TIME_BITS = 64 - DST_BITS };

/* Marks of a port. */
enum {
	/* A single packet may open a door: it is delivered at once. */
	ONCE = 1,
	/* Some sequence has the port twice in a row: a repeat of it may be a step. */
	DOUBLED = 2,
};

/* A packet, for the daemon. Addresses are in network order, the rest in the host's. */
struct record {
	u64 time;
	u32 src[4];
	u32 ifindex;
	/* The number of the destination. */
	u32 dst;
	u16 sport, dport;
	u8 proto, flags, family, unused;
};

struct place {
	u64 check;
	/* The time, in units of 2^10 ns, which wrap in 208 days; dst, which is 0 in an empty place. */
	u64 when;
	/* dport, sport, UDP or TCP, flags, ifindex */
	u64 what;
};

struct bucket {
	struct place place[PLACES];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, u32);
	__type(value, struct bucket);
} table SEC(".maps");

struct setting {
	/* The most new sources of a window in peace; 0: there is no peace. */
	u64 limit;
	/* Frames of VLANs count on the VLAN's own interface only. */
	u64 no_vlan;
	/* Always 0, which the verifier can't know: see find. */
	u64 zero;
	/* Secret; the keys of check are odd. */
	u64 tag_key[2], check_key[3];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct setting);
} settings SEC(".maps");

/* The new sources of the last windows, of 2^30 ns each. */
struct windows {
	struct {
		u64 number, count;
	} window[4];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct windows);
} windows SEC(".maps");

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, RING_BYTES);
} ring SEC(".maps");

struct tally {
	/* Packets that the ring had no room for. */
	u64 dropped;
	/* Packets that were held back, delivered later or not. */
	u64 held;
};

/*
 * Counts by socket: that of the interface, else that of all interfaces, of which there is one for each version of IP.
 */
enum { ALL = 1u << 31 };

struct {
	__uint(type, MAP_PERCPU_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, NO_PREALLOC);
	__type(key, u32);
	__type(value, struct tally);
} counts SEC(".maps");

inlined u64 rotate(u64 x, u32 by) { return x << by | x >> (64 - by); }

#define SIP_ROUND(a, b, c, d)                     \
	do {                                      \
		a += b, b = rotate(b, 13) ^ a;    \
		a = rotate(a, 32);                \
		c += d, d = rotate(d, 16) ^ c;    \
		a += d, d = rotate(d, 21) ^ a;    \
		c += b, b = rotate(b, 17) ^ c;    \
		c = rotate(c, 32);                \
	} while (0)

/* SipHash-1-3 of the source. */
inlined u64 source_tag(const struct record *r, const struct setting *s)
{
	u64 high = (u64)r->src[0] << 32 | r->src[1], low = (u64)r->src[2] << 32 | r->src[3];
	u64 a = s->tag_key[0] ^ 0x736f6d6570736575ull, b = s->tag_key[1] ^ 0x646f72616e646f6dull;
	u64 c = s->tag_key[0] ^ 0x6c7967656e657261ull, d = s->tag_key[1] ^ 0x7465646279746573ull;

	d ^= high;
	SIP_ROUND(a, b, c, d);
	a ^= high;
	d ^= low;
	SIP_ROUND(a, b, c, d);
	a ^= low;
	d ^= r->family;
	SIP_ROUND(a, b, c, d);
	a ^= r->family;
	c ^= 0xff;
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

inlined u64 checksum(const struct place *p, const struct setting *s)
{
	u64 sum = (p->when + s->check_key[0]) * s->check_key[1];

	sum = ((sum ^ sum >> 32) + p->what) * s->check_key[2];
	return sum ^ sum >> 32;
}

inlined int belongs(const struct place *p, u64 tag, const struct setting *s)
{
	return p->when << TIME_BITS && (p->check ^ checksum(p, s)) == tag;
}

inlined int has_room_for(const struct record *r) { return !(r->dst >> DST_BITS) && !(r->ifindex >> IFINDEX_BITS); }

/* Of the protocols only UDP's number is odd. */
inlined void pack(struct place *p, const struct record *r)
{
	p->when = r->time >> 10 << DST_BITS | r->dst;
	p->what = (u64)r->dport << 48 | (u64)r->sport << 32 | (u64)(r->proto & 1) << 31 | (u64)r->flags << IFINDEX_BITS |
		  r->ifindex;
}

/* How long ago a packet came, in units of 2^10 ns; 0 if another processor was faster with a later one. */
inlined u64 age_of(const struct place *p, u64 now)
{
	u64 age = ((now >> 10) - (p->when >> DST_BITS)) << DST_BITS >> DST_BITS;
	u64 later = age >> (TIME_BITS - 1);

	opaque(later);
	return age & (later - 1);
}

inlined void unpack(struct record *r, const struct place *p, u64 now)
{
	r->time = ((now >> 10) - age_of(p, now)) << 10;
	r->dst = p->when & ((1u << DST_BITS) - 1);
	r->dport = p->what >> 48;
	r->sport = p->what >> 32;
	r->proto = p->what >> 31 & 1 ? UDP : TCP;
	r->flags = p->what >> IFINDEX_BITS & 0x3f;
	r->ifindex = p->what & ((1u << IFINDEX_BITS) - 1);
}

inlined void put(struct place *to, u64 tag, const struct record *r, const struct setting *s)
{
	struct place p;

	pack(&p, r);
	to->when = p.when;
	to->what = p.what;
	to->check = tag ^ checksum(&p, s);
}

/* Copies a place, once: others may write it. */
inlined struct place copy(const volatile struct place *from)
{
	struct place p = {from->check, from->when, from->what};

	return p;
}

/*
 * Finds the place of a source; if it has none, the one to overwrite: an empty one, else the oldest. The verifier must not
 * know which numbers the place can have: it would look at all that follows once for each. Without CAP_PERFMON it even
 * refuses different constants that are added to one pointer, for what a processor might do speculatively.
 */
inlined struct place *find(struct bucket *b, u64 tag, u64 now, const struct setting *s)
{
	u64 best = 0;

#pragma unroll
	for (u32 i = 0; i < PLACES; i++) {
		struct place p = copy(&b->place[i]);
		u64 empty = is_zero(p.when << TIME_BITS);
		u64 own = is_zero(p.check ^ checksum(&p, s) ^ tag) & ~empty;
		u64 rank = own << 63 | empty << 62 | age_of(&p, now) << 4 | i;

		if (rank > best)
			best = rank;
	}
	return &b->place[(best + s->zero) & (PLACES - 1)];
}

/* Empties the place of a source, and others that it may have if two processors met it at once. */
inlined void forget(struct bucket *b, u64 tag, const struct setting *s)
{
#pragma unroll
	for (u32 i = 0; i < PLACES; i++) {
		struct place p = copy(&b->place[i]);

		if (belongs(&p, tag, s))
			b->place[i].when = 0;
	}
}

/* Whether new sources come faster than in peace; count is 1 for another one. */
inlined int flood(u64 now, u64 count, const struct setting *s)
{
	u32 zero = 0;
	u64 number = now >> 30;
	struct windows *w = map_lookup(&windows, &zero);

	if (!w || !s->limit)
		return 1;
	if (w->window[number & 3].number != number) {
		w->window[number & 3].count = 0;
		w->window[number & 3].number = number;
	}
	if (count)
		__sync_fetch_and_add(&w->window[number & 3].count, count);
	if (w->window[number & 3].count > s->limit)
		return 1;
	return w->window[(number - 1) & 3].number == number - 1 && w->window[(number - 1) & 3].count > s->limit;
}

inlined void count(const struct record *r, u64 dropped, u64 held)
{
	u32 one = r->ifindex, all = ALL | r->family;
	struct tally *c = map_lookup(&counts, &one);

	if (!c)
		c = map_lookup(&counts, &all);
	if (c) {
		c->dropped += dropped;
		c->held += held;
	}
}

/* Delivers the one at r, or both from there. */
inlined int deliver(struct record *r, u32 packets)
{
	long err;

	if (packets == 1)
		err = ring_output(&ring, r, sizeof(*r), 0);
	else
		err = ring_output(&ring, r, 2 * sizeof(*r), 0);
	if (err)
		count(r, packets, 0);
	return !err;
}

inlined void hold(struct place *at, u64 tag, const struct record *r, const struct setting *s)
{
	put(at, tag, r, s);
	count(r, 0, 1);
}

/* Whether r is again what is held, perhaps from another port: nothing changes for any door if it takes its place. */
inlined int repeats(const struct record *r, const struct place *held, u64 marks)
{
	const u64 same = ~(0xffffull << 32 | ((1ull << IFINDEX_BITS) - 1));
	struct place p;

	pack(&p, r);
	return !(marks & DOUBLED) && !((p.what ^ held->what) & same) && !((p.when ^ held->when) << TIME_BITS);
}

/* Delivers the packet r[1] of a source of which one is held, and that before it; r[0] has room for it. */
inlined void deliver_both(struct record *r, struct bucket *b, struct place *at, const struct place *held, u64 tag,
			  const struct setting *s)
{
	/* First, so that no other processor finds it. */
	forget(b, tag, s);
	r[0] = r[1];
	unpack(&r[0], held, r[1].time);
	if (deliver(r, 2))
		know(tag);
	else
		put(at, tag, &r[0], s);
}

/* Decides about the packet r[1]; r[0] has room for one that was held. */
inlined void admit(struct record *r, u64 marks, const struct setting *s)
{
	u64 tag = source_tag(&r[1], s);
	u32 key = tag & (BUCKETS - 1);
	struct bucket *b = map_lookup(&table, &key);
	int bypass = marks & ONCE || !has_room_for(&r[1]);
	struct place *at, there;

	if (!b)
		return;
	at = find(b, tag, r[1].time, s);
	there = copy(at);
	if (belongs(&there, tag, s)) {
		if (!bypass && repeats(&r[1], &there, marks) && flood(r[1].time, 0, s))
			hold(at, tag, &r[1], s);
		else
			deliver_both(r, b, at, &there, tag, s);
	} else if (known(tag)) {
		deliver(&r[1], 1);
	} else if (flood(r[1].time, 1, s) && !bypass) {
		hold(at, tag, &r[1], s);
	} else if (deliver(&r[1], 1)) {
		know(tag);
	}
}
