//go:build ignore

// What stands at the egress of a SPAN port: it counts the frame, and drops it. Nothing is let through.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

struct tried {
	__u64 frames, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tried);
} tried SEC(".maps");

SEC("tc")
int drop(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct tried *t = bpf_map_lookup_elem(&tried, &zero);
	if (t) {
		__sync_fetch_and_add(&t->frames, 1);
		__sync_fetch_and_add(&t->bytes, skb->len);
	}
	return TC_ACT_SHOT;
}
