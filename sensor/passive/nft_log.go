package passive

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The chain at the device's hook comes before the program at the queueing layer, and drops what that would have counted.
// A sealed process may not read the chain's counter, so that the chain logs what it drops to a netlink socket that was
// bound before (linux/netfilter/nfnetlink_log.h).
const (
	logPacket  = unix.NFNL_SUBSYS_ULOG << 8   // NFULNL_MSG_PACKET
	logConfig  = unix.NFNL_SUBSYS_ULOG<<8 | 1 // NFULNL_MSG_CONFIG
	logCommand = 1                            // NFULA_CFG_CMD
	logMode    = 2                            // NFULA_CFG_MODE
	logEach    = 5                            // NFULA_CFG_QTHRESH: frames per message
	logBind    = 1                            // NFULNL_CFG_CMD_BIND
	logMeta    = 1                            // NFULNL_COPY_META: no byte of the frame
)

// group is the log group of an interface.
func group(index int) uint16 { return uint16(0x5200 + index&0xff) }

// countDrops adds the rule that counts and logs, or one that counts alone where the kernel cannot log here.
func countDrops(conn *nftables.Conn, table *nftables.Table, chain *nftables.Chain, index int) error {
	counter, log := &expr.Counter{}, &expr.Log{Group: group(index), Key: 1 << unix.NFTA_LOG_GROUP}
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{counter, log}})
	err := conn.Flush()
	if err != nil {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{counter}})
		err = errors.Join(err, conn.Flush())
	}
	return err
}

// listen makes the socket that hears of drops. Without it they are silent.
func (n *NFT) listen(index int) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	n.log = fd
	mode := append(binary.BigEndian.AppendUint32(nil, 0), logMeta, 0)
	for _, attr := range [][]byte{attribute(logCommand, []byte{logBind}), attribute(logMode, mode), attribute(logEach, binary.BigEndian.AppendUint32(nil, 1))} {
		if err := configure(fd, group(index), attr); err != nil {
			return fmt.Errorf("listen to the chain's log: %w", err)
		}
	}
	return nil
}

func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// configure sends one setting of the group and waits for its acknowledgement.
func configure(fd int, group uint16, attr []byte) error {
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+4+len(attr)))
	b = binary.NativeEndian.AppendUint16(b, logConfig)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = append(b, make([]byte, 8)...) // sequence, port
	b = append(b, unix.AF_UNSPEC, 0)  // family, version
	b = append(binary.BigEndian.AppendUint16(b, group), attr...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	size, _, err := unix.Recvfrom(fd, answer, 0) // the kernel answers within the call above
	if err != nil {
		return err
	}
	if size < 20 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("an answer that is none")
	}
	if code := int32(binary.NativeEndian.Uint32(answer[16:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// Counted returns how many frames the chain has dropped since it was made, by its own count. It needs CAP_NET_ADMIN.
func (n *NFT) Counted() (uint64, error) {
	conn, err := nftables.New()
	if err != nil {
		return 0, err
	}
	table := &nftables.Table{Family: nftables.TableFamilyNetdev, Name: n.table}
	rules, err := conn.GetRules(table, &nftables.Chain{Name: "egress", Table: table})
	if err != nil {
		return 0, err
	}
	for _, r := range rules {
		for _, e := range r.Exprs {
			if c, ok := e.(*expr.Counter); ok {
				return c.Packets, nil
			}
		}
	}
	return 0, fmt.Errorf("the nftables chain %s egress does not count", n.table)
}

// Tried returns how many frames the chain has dropped so far: somebody tried to send them. Where they came faster than
// they were asked for, there were more. It needs no capability, and is used by one goroutine.
func (n *NFT) Tried() uint64 {
	buf := make([]byte, 16<<10)
	for n.log >= 0 {
		size, _, err := unix.Recvfrom(n.log, buf, 0)
		if errors.Is(err, unix.ENOBUFS) {
			continue // messages were lost: these are counted by the ones that follow
		}
		if err != nil {
			break
		}
		for b := buf[:size]; len(b) >= 16; {
			length := int(binary.NativeEndian.Uint32(b))
			if length < 16 || length > len(b) {
				break
			}
			if binary.NativeEndian.Uint16(b[4:]) == logPacket {
				n.tried++
			}
			b = b[min((length+3)&^3, len(b)):]
		}
	}
	return n.tried
}
