//go:build ignore

// Numbers the frames of a BPF_PROG_RUN with live frames: each gets the next sequence number, one of 1024 client
// addresses, and, one in `every`, the control protocol's port. It lets them pass up the stack of the interface that they
// are said to have come in on, or gives them to another interface's driver to send.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

struct state {
	__u64 next;  // number of the next frame
	__u64 every; // 1: each frame has the port, 100: one in a hundred, 0: none
	__u64 by;    // index of the interface that sends them; 0: they pass up the stack
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} states SEC(".maps");

struct frame {
	__u8 dst[6], src[6];
	__be16 type;
	__u8 ip[12];
	__be32 from, to;
	__be16 sport, dport, len, check;
	__be64 number;
} __attribute__((packed));

SEC("xdp")
int number(struct xdp_md *ctx)
{
	struct frame *f = (void *)(long)ctx->data;
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&states, &zero);
	if (!s || (void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__u64 n = s->next++;
	__u64 every = s->every;
	f->from = bpf_htonl(0x0a000000 | (n & 1023));
	f->dport = every && n % every == 0 ? bpf_htons(502) : bpf_htons(8080);
	f->number = bpf_cpu_to_be64(n);
	return s->by ? bpf_redirect(s->by, 0) : XDP_PASS;
}
