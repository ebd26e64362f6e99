/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a packet that counts. In peace it is delivered at once. In a flood of strangers the first packet of a
 * source is held back in a table, and its second delivers both, in order and with their own times; from then on the
 * source is known. So a forged source that sends once never wakes the daemon.
 *
 * The table is an array of buckets of 8 places, and a source has one place in the bucket that its tag chooses; the oldest
 * is overwritten. Programs run on several processors at once, without a lock: a place has no owner while it is written.
 * Its check word therefore binds the source's tag to every other word of the place. A place torn between two writers
 * matches no source, and what nobody matches is lost as if it had been overwritten: no source ever gets the packet of
 * another. Tag and check are keyed by secrets of this run.
 */
#pragma once

#include "packet.h"

enum { RING_BYTES = 512 << 10, BUCKETS = 32768, PLACES = 8 };

/* Marks of a port. */
enum {
	/* A single packet may open a door: it is delivered at once. */
	ONCE = 1,
	/* Some sequence has the port twice in a row: a repeat of it may be a step. */
	DOUBLED = 2,
};

/* States of a place; 0 is empty. */
enum { HELD = 1, KNOWN = 2 };

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
	u64 time;
	/* dport, sport, ifindex */
	u64 where;
	/* dst, state, proto, flags */
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
	/* Always 0, which the verifier can't know: see put. */
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

/*
 * Packets that the ring had no room for, by socket: that of the interface, else that of all interfaces, of which there is
 * one for each version of IP.
 */
enum { ALL = 1u << 31 };

struct {
	__uint(type, MAP_PERCPU_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, NO_PREALLOC);
	__type(key, u32);
	__type(value, u64);
} drops SEC(".maps");

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
	u64 sum = p->time * s->check_key[0] + p->where * s->check_key[1] + p->what * s->check_key[2];

	return sum ^ sum >> 32;
}

inlined u32 state_of(const struct place *p) { return p->what >> 16 & 0xff; }

inlined void pack(struct place *p, const struct record *r, u32 state)
{
	p->time = r->time;
	p->where = (u64)r->dport << 48 | (u64)r->sport << 32 | r->ifindex;
	p->what = (u64)r->dst << 32 | (u64)state << 16 | (u64)r->proto << 8 | r->flags;
}

inlined void unpack(struct record *r, const struct place *p)
{
	r->time = p->time;
	r->dport = p->where >> 48;
	r->sport = p->where >> 32;
	r->ifindex = p->where;
	r->dst = p->what >> 32;
	r->proto = p->what >> 8;
	r->flags = p->what;
}

/*
 * Writes a packet. Of a KNOWN source only the time matters: that of its last packet.
 *
 * find leaves another constant in i on each of its paths. Without CAP_PERFMON the verifier refuses to add these to one
 * pointer, for what a processor might do speculatively: it wants one number of a known range.
 */
inlined void put(struct bucket *b, u32 i, u64 tag, const struct record *r, u32 state, const struct setting *s)
{
	struct place p, *to = &b->place[(i + s->zero) & (PLACES - 1)];

	pack(&p, r, state);
	to->time = p.time;
	to->where = p.where;
	to->what = p.what;
	to->check = tag ^ checksum(&p, s);
}

/*
 * Finds a source: 1, and its place and what is there; or 0, and the place to overwrite: an empty one, else the oldest.
 * Known sources have no privilege: then a flood of sources that send twice would drive out whoever has sent once.
 */
inlined int find(struct bucket *b, u64 tag, u64 now, const struct setting *s, u32 *at, struct place *found)
{
	u64 oldest = 0;
	int hit = 0;

	*at = 0;
#pragma unroll
	for (u32 i = 0; i < PLACES; i++) {
		volatile struct place *from = &b->place[i];
		struct place p = {from->check, from->time, from->where, from->what};
		u64 age = p.time < now ? now - p.time : 0;

		if (!state_of(&p))
			age = ~0ull;
		if (state_of(&p) && (p.check ^ checksum(&p, s)) == tag) {
			if (!hit) {
				hit = 1;
				*at = i;
				*found = p;
			} else {
				/* Two processors met it at once. */
				from->what = 0;
			}
		} else if (!hit && age >= oldest) {
			oldest = age;
			*at = i;
		}
	}
	return hit;
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

inlined void count_drops(const struct record *r, u64 count)
{
	u32 one = r->ifindex, all = ALL | r->family;
	u64 *sum = map_lookup(&drops, &one);

	if (!sum)
		sum = map_lookup(&drops, &all);
	if (sum)
		*sum += count;
}

/* Delivers the one at r, or both from there. */
inlined int deliver(struct record *r, u32 count)
{
	long err;

	if (count == 1)
		err = ring_output(&ring, r, sizeof(*r), 0);
	else
		err = ring_output(&ring, r, 2 * sizeof(*r), 0);
	if (err)
		count_drops(r, count);
	return !err;
}

/* Whether r is again what is held: nothing changes for any door if it takes its place. */
inlined int repeats(const struct record *r, const struct place *held, u64 marks)
{
	struct place p;

	pack(&p, r, HELD);
	return !(marks & DOUBLED) && p.what == held->what && r->dport == held->where >> 48;
}

/* Decides about the packet r[1]; r[0] has room for one that was held. */
inlined void admit(struct record *r, u64 marks, const struct setting *s)
{
	struct place found = {};
	struct bucket *b;
	u32 key, at;
	u64 tag;

	tag = source_tag(&r[1], s);
	key = tag & (BUCKETS - 1);
	b = map_lookup(&table, &key);
	if (!b)
		return;
	if (!find(b, tag, r[1].time, s, &at, &found)) {
		if (flood(r[1].time, 1, s) && !(marks & ONCE))
			put(b, at, tag, &r[1], HELD, s);
		else if (deliver(&r[1], 1))
			put(b, at, tag, &r[1], KNOWN, s);
		return;
	}
	if (state_of(&found) == KNOWN) {
		if (deliver(&r[1], 1))
			put(b, at, tag, &r[1], KNOWN, s);
		return;
	}
	if (!(marks & ONCE) && repeats(&r[1], &found, marks) && flood(r[1].time, 0, s)) {
		put(b, at, tag, &r[1], HELD, s);
		return;
	}
	r[0] = r[1];
	unpack(&r[0], &found);
	if (deliver(r, 2))
		put(b, at, tag, &r[1], KNOWN, s);
}
