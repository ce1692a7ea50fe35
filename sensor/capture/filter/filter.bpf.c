//go:build ignore

// The sensor's socket filter. It keeps what the sensor decodes or cannot judge, and counts all the rest per pair of
// assets and service. It runs on the ring's packet sockets, sees each frame from its Ethernet header on (an outer VLAN
// tag lies in the metadata), and returns how many bytes of it to keep: 0 is none.

#define LOAD bpf_skb_load_bytes
#include "frame.h"

#define ALL 0x40000 // more than any frame: keep it whole
#define HEADERS 96  // verdict headers-only

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

// remember what the first fragment of a datagram decided for the others.
static __always_inline void remember(struct look *l, __u32 verdict)
{
	if (l->more)
		bpf_map_update_elem(&fragments, &l->d, &verdict, BPF_ANY);
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

	struct look l;
	begin(&l, skb->len, skb->protocol);
	if (skb->vlan_present) {
		l.tagged = 1;
		l.p.vlan = skb->vlan_tci & 0xfff;
	}
	enum what what = look(skb, &l);
	c->vlan += l.tagged;
	c->qinq += l.tags;
	switch (what) {
	case OT_PORT:
		remember(&l, KEEP);
		c->kept++;
		c->ot_port++;
		return ALL;
	case OT_ETHER:
		c->kept++;
		c->ot_ether++;
		return ALL;
	case LATER: {
		__u32 *v = bpf_map_lookup_elem(&fragments, &l.d);
		if (v && *v == DROP) {
			c->other++;
			return 0;
		}
		c->kept++; // of a kept datagram, or its head was never seen
		c->fragment++;
		return ALL;
	}
	case IN_VXLAN:
		remember(&l, KEEP);
	case TUNNEL:
		c->kept++;
		c->tunnel++;
		return ALL;
	case UNPARSED:
		c->kept++;
		c->unparsed++;
		return ALL;
	case JUDGE:
		break;
	}

	__u64 before;
	if (l.p.ether == 0x0800) {
		struct pair4 k = {.a = l.p.a[3], .b = l.p.b[3], .service = l.p.service, .vlan = l.p.vlan, .proto = l.p.proto};
		before = count(skb, &pairs4, &k);
	} else {
		before = count(skb, &pairs, &l.p);
	}
	__u32 *ruled = user->decided ? bpf_map_lookup_elem(&verdicts, &l.p) : 0;
	if (ruled && *ruled != DROP) {
		c->kept++;
		c->verdict++;
		remember(&l, KEEP);
		return *ruled == SHORTEN ? HEADERS : ALL;
	}
	if (!ruled && before < FIRST) {
		c->kept++;
		c->first++;
		remember(&l, KEEP);
		return ALL;
	}
	remember(&l, DROP);
	c->other++;
	return 0;
}
