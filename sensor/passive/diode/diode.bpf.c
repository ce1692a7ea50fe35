//go:build ignore

// The two programs of the diode: what comes in at the SPAN port is handed to the sensor's side, and what comes back from
// there is counted and dropped.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

volatile const __u32 inside; // index of the virtual interface's end in the port's namespace

struct tried {
	__u64 frames, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tried);
} tried SEC(".maps");

// forward runs at the port's ingress: the frame goes on as if it had arrived at the far end of the virtual pair.
SEC("tc")
int forward(struct __sk_buff *skb)
{
	return bpf_redirect_peer(inside, 0);
}

// tripwire runs where frames from the sensor's side would come in.
SEC("xdp.frags")
int tripwire(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct tried *t = bpf_map_lookup_elem(&tried, &zero);
	if (t) {
		__sync_fetch_and_add(&t->frames, 1);
		__sync_fetch_and_add(&t->bytes, ctx->data_end - ctx->data);
	}
	return XDP_DROP;
}
