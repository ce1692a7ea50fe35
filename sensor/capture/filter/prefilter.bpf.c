//go:build ignore

// The prefilter. On a fast link it runs in the interface's driver, before the host makes a packet of a frame, and drops
// there what the socket filter would not keep: a frame of a pair of which that has had the first ones, and further
// fragments of a datagram that it dropped. Those it counts where the socket filter would have counted them. Whatever
// else comes it passes on and counts not at all, so that the socket filter counts it as if there were no prefilter.
//
// It has two verdicts, to pass a frame on and to drop it, never looks at a frame but through a helper that copies out of
// it, and so can neither change nor send one.

#define LOAD bpf_xdp_load_bytes
#include "frame.h"

// unwanted says whether the socket filter would not keep the frame, and counts it if so.
static __always_inline int unwanted(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct told *user = bpf_map_lookup_elem(&told, &zero);
	if (!user || (user->index && user->index != ctx->ingress_ifindex))
		return 0;
	__u32 cpu = bpf_get_smp_processor_id();
	struct counts *c = bpf_map_lookup_elem(&counts, &cpu);
	if (!c)
		return 0;

	struct {
		__u8 mac[12];
		__be16 type;
	} eth;
	if (bpf_xdp_load_bytes(ctx, 0, &eth, sizeof eth) < 0)
		return 0;
	struct look l;
	begin(&l, bpf_xdp_get_buff_len(ctx), eth.type);
	__u32 len = l.len; // as the socket filter will see it: the host takes the outer tag out
	if (l.ether == 0x8100 || l.ether == 0x88a8) {
		__be16 tag[2];
		if (bpf_xdp_load_bytes(ctx, 14, tag, sizeof tag) < 0)
			return 0;
		l.tagged = 1;
		l.p.vlan = bpf_ntohs(tag[0]) & 0xfff;
		l.ether = bpf_ntohs(tag[1]);
		l.off += 4;
		len -= 4;
	}
	switch (look(ctx, &l)) {
	case LATER: {
		__u32 *v = bpf_map_lookup_elem(&fragments, &l.d);
		if (!v || *v != DROP)
			return 0;
		break;
	}
	case JUDGE: {
		struct tally *t;
		if (l.p.ether == 0x0800) {
			struct pair4 k = {.a = l.p.a[3], .b = l.p.b[3], .service = l.p.service, .vlan = l.p.vlan, .proto = l.p.proto};
			t = bpf_map_lookup_elem(&pairs4, &k);
		} else {
			t = bpf_map_lookup_elem(&pairs, &l.p);
		}
		if (!t)
			return 0;
		__u32 *ruled = user->decided ? bpf_map_lookup_elem(&verdicts, &l.p) : 0;
		if (ruled ? *ruled != DROP : t->frames < FIRST)
			return 0;
		t->frames++;
		t->bytes += len;
		t->last = now();
		if (l.more) {
			__u32 v = DROP;
			bpf_map_update_elem(&fragments, &l.d, &v, BPF_ANY);
		}
		break;
	}
	default:
		return 0;
	}
	c->seen++;
	c->bytes += len;
	c->vlan += l.tagged;
	c->qinq += l.tags;
	c->other++;
	c->early++;
	return 1;
}

SEC("xdp.frags")
int prefilter(struct xdp_md *ctx)
{
	return unwanted(ctx) ? XDP_DROP : XDP_PASS;
}
