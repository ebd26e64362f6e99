/* SPDX-License-Identifier: MIT */
/*
 * The sources that are known: all of whose packets are delivered at once. Strangers who send once never get here, so that
 * a flood of them makes nobody forgotten.
 *
 * Of a source there is a sign of 16 bits, in the bucket that its tag chooses; the oldest is overwritten. Who has by chance
 * the sign of another is delivered at once, which does no harm. Nor do two processors that write at once: a sign may be
 * lost.
 */
#pragma once

#include "kernel.h"

enum { SIGNS = 16, SIGN_BUCKETS = 32768 };

struct signs {
	/* The first is not a sign, but where the next one goes. */
	u16 each[SIGNS];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, SIGN_BUCKETS);
	__type(key, u32);
	__type(value, struct signs);
} sources SEC(".maps");

/* The bucket of a source, chosen by other bits of its tag than in the table of what is held. */
inlined struct signs *signs_of(u64 tag)
{
	u32 key = tag >> 16 & (SIGN_BUCKETS - 1);

	return map_lookup(&sources, &key);
}

/* By other bits again; 0 is no sign. */
inlined u16 sign_of(u64 tag) { return tag >> 48 ? tag >> 48 : 1; }

/* Where the next sign goes, 1 to SIGNS - 1. Without a branch, for the verifier wants one number of a known range: see find in held.h. */
inlined u32 next_sign(const struct signs *signs)
{
	u32 next = signs->each[0] & (SIGNS - 1);

	return (next + is_zero(next)) & (SIGNS - 1);
}

inlined void add_sign(struct signs *signs, u16 sign)
{
	u32 next = next_sign(signs);

	signs->each[next] = sign;
	signs->each[0] = next + 1;
}

/* Makes a source known. */
inlined void know(u64 tag)
{
	struct signs *signs = signs_of(tag);

	if (signs)
		add_sign(signs, sign_of(tag));
}

/* Whether a source is known. One whose sign is of the older half gets a new one. */
inlined int known(u64 tag)
{
	struct signs *signs = signs_of(tag);
	u16 sign = sign_of(tag);
	u32 equal = 0;

	if (!signs)
		return 0;
#pragma unroll
	for (u32 i = 1; i < SIGNS; i++)
		equal |= is_zero(signs->each[i] ^ sign) << i;
	if (!equal)
		return 0;
	/* The youngest goes to the last of 16 bits. */
	equal = (equal | equal << SIGNS) >> next_sign(signs);
	if (!(equal & 0xff00))
		add_sign(signs, sign);
	return 1;
}
