// What the socket filter and the prefilter have in common: the maps in which they count and from which they know what is
// wanted, and how a frame is read. Both read every frame alike, or the one would count under other names than the other.
//
// Straight-line code on purpose: every header is loaded into a struct on the stack at a scalar offset, so that the
// verifier takes the socket filter from a process with CAP_BPF and CAP_NET_RAW alone. Whoever includes this says by LOAD
// how a frame's bytes are loaded.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

enum { MAX_CPUS = 256, FIRST = 8, FLOWS = 65536 };

// What became of the frames of one CPU; the Go side reads it by mmap. seen = kept + other, always.
struct counts {
	__u64 seen, bytes;
	__u64 kept, other;
	__u64 ot_port, ot_ether, first, fragment, tunnel, unparsed, verdict; // why kept; their sum is kept
	__u64 vlan, qinq, gso, early, reserved;                              // properties; early: of other, those that the prefilter dropped
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_CPUS);
	__type(key, __u32);
	__type(value, struct counts);
} counts SEC(".maps");

// One bit per port: 1024 words for TCP, then 1024 for UDP.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, __u64);
} ports SEC(".maps");

// One bit per ethertype that is kept.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} ethers SEC(".maps");

// Set before loading: the kernel has bpf_ktime_get_coarse_ns (5.11).
volatile const __u32 coarse;

// What user space writes while the filter runs. index is that of the interface whose frames are looked at, 0 for every
// one: the ring's socket listens to all interfaces, so that one which vanishes and comes back under another index is
// followed by a write here, without a new socket. decided is not 0 once there is a verdict to look up.
struct told {
	__u32 index, decided;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct told);
} told SEC(".maps");

// A pair of assets and the service between them: the lower address first, the lower port as the service. IPv4
// addresses stand in the last word, MAC addresses of frames that are not IP in the last six bytes.
struct pair {
	__u32 a[4], b[4];
	__u16 service, vlan, ether;
	__u8 proto, pad;
};

struct tally {
	__u64 frames, bytes;
	__u64 last; // CLOCK_MONOTONIC ns
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, FLOWS);
	__type(key, struct pair);
	__type(value, struct tally);
} pairs SEC(".maps");

// The same for IPv4: to hash a key of 16 bytes takes a good part of the time less.
struct pair4 {
	__u32 a, b;
	__u16 service, vlan;
	__u8 proto, pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, FLOWS);
	__type(key, struct pair4);
	__type(value, struct tally);
} pairs4 SEC(".maps");

// What user space decided for a pair: 1 keep, 2 drop, 3 headers only.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pair);
	__type(value, __u32);
} verdicts SEC(".maps");

// Datagrams in fragments, and what their first fragment decided: 1 keep, 2 drop.
struct datagram {
	__u32 a[4], b[4];
	__u32 id;
	__u16 vlan;
	__u8 proto, pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct datagram);
	__type(value, __u32);
} fragments SEC(".maps");

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 len, id, frag;
	__u8 ttl, proto;
	__be16 check;
	__be32 src, dst;
};

struct ipv6 {
	__be32 version;
	__be16 len;
	__u8 next, hops;
	__be32 src[4], dst[4];
};

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58, VXLAN = 4789, KEEP = 1, DROP = 2, SHORTEN = 3 };

static __always_inline int bit(void *map, __u32 word, __u32 n)
{
	__u64 *bits = bpf_map_lookup_elem(map, &word);
	return bits && (*bits >> (n & 63)) & 1;
}

static __always_inline int ot_port(__u8 proto, __u16 port)
{
	return bit(&ports, (proto == UDP ? 1024 : 0) + (port >> 6), port);
}

// order puts the lower of the two addresses first, so that both directions count as one pair.
static __always_inline void order(struct pair *p)
{
	if (p->ether == 0x0800) {
		if (p->a[3] > p->b[3]) {
			__u32 t = p->a[3];
			p->a[3] = p->b[3];
			p->b[3] = t;
		}
		return;
	}
	int swap = 0, decided = 0;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		if (!decided && p->a[i] != p->b[i]) {
			swap = p->a[i] > p->b[i];
			decided = 1;
		}
	}
	if (!swap)
		return;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u32 t = p->a[i];
		p->a[i] = p->b[i];
		p->b[i] = t;
	}
}

static __always_inline __u64 now(void)
{
	return coarse ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns();
}

// What a frame is, as far as it can be said without what is known of its pair.
enum what { JUDGE, OT_PORT, OT_ETHER, LATER, IN_VXLAN, TUNNEL, UNPARSED };

// A look at a frame. begin makes one; an outer tag that is not in the data the caller puts in.
struct look {
	struct pair p;
	struct datagram d; // if more, or LATER
	__u32 off;         // of what follows the ethertype
	__u32 len;         // of the frame
	__u32 more;        // of its datagram more fragments follow
	__u32 tags;        // further tags, beyond the outer one
	__u16 ether;       // in host order
	__u8 tagged;       // an outer tag was read
};

// begin clears d too, though only fragments make it: without CAP_PERFMON the kernel refuses a program that may hand over
// bytes of its stack that nothing was written to.
static __always_inline void begin(struct look *l, __u32 len, __be16 ether)
{
	__builtin_memset(&l->p, 0, sizeof l->p);
	__builtin_memset(&l->d, 0, sizeof l->d);
	l->off = 14;
	l->len = len;
	l->more = l->tags = l->tagged = 0;
	l->ether = bpf_ntohs(ether);
}

static __always_inline enum what look(void *ctx, struct look *l)
{
	// A tag that is still in the data: an inner one, or the outer where it was left there.
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (l->ether == 0x8100 || l->ether == 0x88a8 || l->ether == 0x9100) {
			__be16 tag[2];
			if (LOAD(ctx, l->off, tag, 4) < 0)
				return UNPARSED;
			if (l->tagged)
				l->tags++;
			else {
				l->tagged = 1;
				l->p.vlan = bpf_ntohs(tag[0]) & 0xfff;
			}
			l->ether = bpf_ntohs(tag[1]);
			l->off += 4;
		}
	}
	l->p.ether = l->ether;

	__be16 port[2] = {};
	__u32 later = 0, id = 0; // it is not the first fragment; of which datagram
	if (l->ether == 0x0800) {
		struct { // with what follows the header of nearly every packet: one call less
			struct ipv4 ip;
			__be16 port[2];
		} head = {};
		if (LOAD(ctx, l->off, &head, sizeof head) < 0 && LOAD(ctx, l->off, &head.ip, sizeof head.ip) < 0)
			return UNPARSED;
		struct ipv4 ip = head.ip;
		port[0] = head.port[0];
		port[1] = head.port[1];
		if (ip.version_ihl != 0x45) // options: keep, the sensor reads them
			return UNPARSED;
		l->p.proto = ip.proto;
		l->p.a[3] = bpf_ntohl(ip.src);
		l->p.b[3] = bpf_ntohl(ip.dst);
		later = bpf_ntohs(ip.frag) & 0x1fff;
		l->more = bpf_ntohs(ip.frag) & 0x2000;
		id = bpf_ntohs(ip.id);
		l->off += 20;
	} else if (l->ether == 0x86dd) {
		struct ipv6 ip;
		if (LOAD(ctx, l->off, &ip, sizeof ip) < 0)
			return UNPARSED;
		l->p.proto = ip.next;
#pragma unroll
		for (int i = 0; i < 4; i++) {
			l->p.a[i] = bpf_ntohl(ip.src[i]);
			l->p.b[i] = bpf_ntohl(ip.dst[i]);
		}
		l->off += 40;
		if (ip.next != TCP && ip.next != UDP && ip.next != ICMP6)
			return TUNNEL; // extension headers and tunnels: keep
	} else {
		if (l->ether < 0x0600 || bit(&ethers, l->ether >> 6, l->ether))
			return OT_ETHER;
		struct {
			__u16 pad0;
			__u8 dst[6];
			__u16 pad1;
			__u8 src[6];
		} mac = {};
		LOAD(ctx, 0, mac.dst, 6);
		LOAD(ctx, 6, mac.src, 6);
		__builtin_memcpy(&l->p.a[2], &mac.pad1, 8);
		__builtin_memcpy(&l->p.b[2], &mac.pad0, 8);
		order(&l->p);
		return JUDGE;
	}

	if (l->p.proto != TCP && l->p.proto != UDP) {
		if (l->p.proto != ICMP && l->p.proto != ICMP6 && l->p.proto != 2) // GRE, IP in IP, ESP and all else that may carry more
			return TUNNEL;
		order(&l->p);
		return JUDGE;
	}

	if (later || l->more) {
		__builtin_memcpy(l->d.a, l->p.a, sizeof l->d.a);
		__builtin_memcpy(l->d.b, l->p.b, sizeof l->d.b);
		l->d.id = id;
		l->d.vlan = l->p.vlan;
		l->d.proto = l->p.proto;
		l->d.pad = 0;
	}
	if (later)
		return LATER;

	if (l->ether == 0x0800 ? l->len < l->off + 4 : LOAD(ctx, l->off, port, 4) < 0)
		return UNPARSED;
	__u16 sp = bpf_ntohs(port[0]), dp = bpf_ntohs(port[1]);
	l->p.service = sp < dp ? sp : dp;
	order(&l->p);
	if (l->p.proto == UDP && (sp == VXLAN || dp == VXLAN))
		return IN_VXLAN;
	if (ot_port(l->p.proto, sp) || ot_port(l->p.proto, dp))
		return OT_PORT;
	return JUDGE;
}
