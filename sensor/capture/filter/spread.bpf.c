//go:build ignore

// Which of several rings a frame goes to. What two hosts say to each other goes to one of them, both ways and in
// fragments; a frame that is not IP goes by its sender and, where publishers number their streams, by that number. The
// kernel's own hash sends all that is not IP to a single ring.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

enum { IPV4_SOURCE = 12, IPV6_SOURCE = 8, GOOSE = 0x88b8, SAMPLED = 0x88ba, MULTIPLIER = 0x9e3779b1 };

static __always_inline int load(struct __sk_buff *skb, __u32 off, void *to, __u32 n, __u32 from)
{
	return bpf_skb_load_bytes_relative(skb, off, to, n, from);
}

// scatter makes numbers that differ in any bit differ in their low bits.
static __always_inline __u32 scatter(__u32 v)
{
	v ^= v >> 16;
	v *= MULTIPLIER;
	v ^= v >> 15;
	v *= MULTIPLIER;
	return v ^ v >> 16;
}

// between is the same both ways, and differs where both addresses are counted up alike.
static __always_inline __u32 between(__u32 a, __u32 b)
{
	return scatter(scatter(a) + scatter(b));
}

SEC("socket")
int spread(struct __sk_buff *skb)
{
	__u32 off = 0; // behind the ethertype
	__u16 ether = bpf_ntohs(skb->protocol);
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (ether == 0x8100 || ether == 0x88a8 || ether == 0x9100) {
			__be16 tag[2];
			if (load(skb, off, tag, 4, BPF_HDR_START_NET) < 0)
				return 0;
			ether = bpf_ntohs(tag[1]);
			off += 4;
		}
	}
	if (ether == 0x0800) {
		__u32 a[2];
		if (load(skb, off + IPV4_SOURCE, a, 8, BPF_HDR_START_NET) < 0)
			return 0;
		return between(a[0], a[1]);
	}
	if (ether == 0x86dd) {
		__u32 a[8];
		if (load(skb, off + IPV6_SOURCE, a, 32, BPF_HDR_START_NET) < 0)
			return 0;
		return between(a[0] ^ a[1] ^ a[2] ^ a[3], a[4] ^ a[5] ^ a[6] ^ a[7]);
	}
	struct {
		__u16 stream; // APPID
		__u8 source[6];
	} sender = {};
	if (load(skb, 6, sender.source, 6, BPF_HDR_START_MAC) < 0)
		return 0;
	if (ether == GOOSE || ether == SAMPLED)
		load(skb, off, &sender.stream, 2, BPF_HDR_START_NET);
	__u32 words[2];
	__builtin_memcpy(words, &sender, 8);
	return scatter(scatter(words[0]) ^ words[1]);
}
