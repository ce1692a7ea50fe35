//go:build ignore

// The sensor's socket filter. It keeps what the sensor decodes or cannot judge, and counts all the rest per pair of
// assets and service. It runs on the ring's packet sockets, sees each frame from its Ethernet header on (an outer VLAN
// tag lies in the metadata), and returns how many bytes of it to keep: 0 is none.
//
// Straight-line code on purpose: every header is loaded into a struct on the stack at a scalar offset, so that the
// verifier takes the program from a process with CAP_BPF and CAP_NET_RAW alone.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

#define ALL 0x40000 // more than any frame: keep it whole
#define HEADERS 96  // verdict headers-only

enum { MAX_CPUS = 256, FIRST = 8, FLOWS = 65536 };

// What became of the frames of one CPU; the Go side reads it by mmap. seen = kept + other, always.
struct counts {
	__u64 seen, bytes;
	__u64 kept, other;
	__u64 ot_port, ot_ether, first, fragment, tunnel, unparsed, verdict; // why kept; their sum is kept
	__u64 vlan, qinq, gso, refused, reserved;                            // properties; refused: kept by nothing but a map that was full
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

// count adds the frame to its pair's tally and returns how many frames of it this CPU had seen before.
static __always_inline __u64 count(struct __sk_buff *skb, void *map, void *key)
{
	struct tally *t = bpf_map_lookup_elem(map, key);
	if (t) {
		__u64 before = t->frames;
		t->frames = before + 1;
		t->bytes += skb->len;
		t->last = now();
		return before;
	}
	struct tally one = {.frames = 1, .bytes = skb->len, .last = now()};
	bpf_map_update_elem(map, key, &one, BPF_ANY);
	return 0;
}

SEC("socket")
int keep(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct told *user = bpf_map_lookup_elem(&told, &zero);
	if (!user || (user->index && user->index != skb->ifindex))
		return 0;

	__u32 cpu = bpf_get_smp_processor_id();
	struct counts *c = bpf_map_lookup_elem(&counts, &cpu);
	if (!c)
		return ALL; // more CPUs than slots: keep all rather than miss something uncounted

	c->seen++;
	c->bytes += skb->len;
	if (skb->gso_segs > 1)
		c->gso++;

	struct pair p = {};
	__u32 off = 14;
	__u16 ether = bpf_ntohs(skb->protocol);
	if (skb->vlan_present) {
		c->vlan++;
		p.vlan = skb->vlan_tci & 0xfff;
	}
	// A tag that is still in the data: an inner one, or the outer where the driver left it there.
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (ether == 0x8100 || ether == 0x88a8 || ether == 0x9100) {
			__be16 tag[2];
			if (bpf_skb_load_bytes(skb, off, tag, 4) < 0)
				goto unparsed;
			if (skb->vlan_present || i)
				c->qinq++;
			else {
				c->vlan++;
				p.vlan = bpf_ntohs(tag[0]) & 0xfff;
			}
			ether = bpf_ntohs(tag[1]);
			off += 4;
		}
	}
	p.ether = ether;

	struct datagram d = {};
	__be16 port[2] = {};
	__u32 more = 0, later = 0; // more fragments follow; this is not the first
	if (ether == 0x0800) {
		struct { // with what follows the header of nearly every packet: one call less
			struct ipv4 ip;
			__be16 port[2];
		} head = {};
		if (bpf_skb_load_bytes(skb, off, &head, sizeof head) < 0 && bpf_skb_load_bytes(skb, off, &head.ip, sizeof head.ip) < 0)
			goto unparsed;
		struct ipv4 ip = head.ip;
		port[0] = head.port[0];
		port[1] = head.port[1];
		if (ip.version_ihl != 0x45) // options: keep, the sensor reads them
			goto unparsed;
		p.proto = ip.proto;
		p.a[3] = bpf_ntohl(ip.src);
		p.b[3] = bpf_ntohl(ip.dst);
		later = bpf_ntohs(ip.frag) & 0x1fff;
		more = bpf_ntohs(ip.frag) & 0x2000;
		d.id = bpf_ntohs(ip.id);
		off += 20;
	} else if (ether == 0x86dd) {
		struct ipv6 ip;
		if (bpf_skb_load_bytes(skb, off, &ip, sizeof ip) < 0)
			goto unparsed;
		p.proto = ip.next;
#pragma unroll
		for (int i = 0; i < 4; i++) {
			p.a[i] = bpf_ntohl(ip.src[i]);
			p.b[i] = bpf_ntohl(ip.dst[i]);
		}
		off += 40;
		if (ip.next != TCP && ip.next != UDP && ip.next != ICMP6)
			goto tunnel; // extension headers and tunnels: keep
	} else {
		if (ether < 0x0600 || bit(&ethers, ether >> 6, ether)) {
			c->kept++;
			c->ot_ether++;
			return ALL;
		}
		struct {
			__u16 pad0;
			__u8 dst[6];
			__u16 pad1;
			__u8 src[6];
		} mac = {};
		bpf_skb_load_bytes(skb, 0, mac.dst, 6);
		bpf_skb_load_bytes(skb, 6, mac.src, 6);
		__builtin_memcpy(&p.a[2], &mac.pad1, 8);
		__builtin_memcpy(&p.b[2], &mac.pad0, 8);
		order(&p);
		goto judge;
	}

	if (p.proto != TCP && p.proto != UDP) {
		if (p.proto != ICMP && p.proto != ICMP6 && p.proto != 2) // GRE, IP in IP, ESP and all else that may carry more
			goto tunnel;
		order(&p);
		goto judge;
	}

	if (later || more) {
		__builtin_memcpy(d.a, p.a, sizeof d.a);
		__builtin_memcpy(d.b, p.b, sizeof d.b);
		d.vlan = p.vlan;
		d.proto = p.proto;
	}
	if (later) {
		__u32 *v = bpf_map_lookup_elem(&fragments, &d);
		if (v && *v == DROP) {
			c->other++;
			return 0;
		}
		c->kept++; // of a kept datagram, or its head was never seen
		c->fragment++;
		return ALL;
	}

	if (ether == 0x0800 ? skb->len < off + 4 : bpf_skb_load_bytes(skb, off, port, 4) < 0)
		goto unparsed;
	__u16 sp = bpf_ntohs(port[0]), dp = bpf_ntohs(port[1]);
	p.service = sp < dp ? sp : dp;
	order(&p);

	__u32 verdict = 0;
	if (p.proto == UDP && (sp == VXLAN || dp == VXLAN)) {
		if (more) {
			verdict = KEEP;
			bpf_map_update_elem(&fragments, &d, &verdict, BPF_ANY);
		}
		goto tunnel;
	}
	if (ot_port(p.proto, sp) || ot_port(p.proto, dp)) {
		if (more) {
			verdict = KEEP;
			bpf_map_update_elem(&fragments, &d, &verdict, BPF_ANY);
		}
		c->kept++;
		c->ot_port++;
		return ALL;
	}

judge:;
	__u64 before;
	if (p.ether == 0x0800) {
		struct pair4 k = {.a = p.a[3], .b = p.b[3], .service = p.service, .vlan = p.vlan, .proto = p.proto};
		before = count(skb, &pairs4, &k);
	} else {
		before = count(skb, &pairs, &p);
	}
	__u32 *ruled = user->decided ? bpf_map_lookup_elem(&verdicts, &p) : 0;
	if (ruled && *ruled != DROP) {
		c->kept++;
		c->verdict++;
		if (more) {
			__u32 v = KEEP;
			bpf_map_update_elem(&fragments, &d, &v, BPF_ANY);
		}
		return *ruled == SHORTEN ? HEADERS : ALL;
	}
	if (!ruled && before < FIRST) {
		c->kept++;
		c->first++;
		if (more) {
			__u32 v = KEEP;
			bpf_map_update_elem(&fragments, &d, &v, BPF_ANY);
		}
		return ALL;
	}
	if (more) {
		__u32 v = DROP;
		bpf_map_update_elem(&fragments, &d, &v, BPF_ANY);
	}
	c->other++;
	return 0;

tunnel:
	c->kept++;
	c->tunnel++;
	return ALL;

unparsed:
	c->kept++;
	c->unparsed++;
	return ALL;
}
