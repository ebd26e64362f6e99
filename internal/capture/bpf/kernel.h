/* SPDX-License-Identifier: MIT */
/*
 * What the program needs of the kernel's interface (include/uapi/linux/bpf.h), written out: so that the object depends
 * on the compiler alone, not on whose headers are installed.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define inlined static inline __attribute__((always_inline))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

/*
 * Hides a value from the compiler, which else makes branches of arithmetic: where many values are compared one after the
 * other, each branch would double what the verifier has to look at.
 */
#define opaque(x) __asm__ volatile("" : "+r"(x))

enum { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PERCPU_HASH = 5, MAP_RINGBUF = 27 };
enum { NO_PREALLOC = 1 };

/* The first fields of struct __sk_buff. */
struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex,
		ifindex;
};

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*load_bytes)(const void *skb, u32 offset, void *to, u32 length) = (void *)26;
static u64 (*boottime)(void) = (void *)125;
static long (*ring_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;

/* 1 if x is 0, else 0; without a branch. */
inlined u64 is_zero(u64 x)
{
	u64 negative = -x;

	opaque(negative);
	return ~(x | negative) >> 63;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define network16(n) __builtin_bswap16(n)
#else
#define network16(n) (n)
#endif
