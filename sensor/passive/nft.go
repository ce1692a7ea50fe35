package passive

import (
	"errors"
	"fmt"
	"net"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// An NFT is an nftables chain at the interface's egress hook (kernel 5.16) whose policy is to drop. Unlike the program
// at the queueing layer, it also sees what is sent around that layer with PACKET_QDISC_BYPASS.
type NFT struct {
	table string
	log   int // the socket that hears what the chain drops, or -1
	tried uint64
	// Silent is why Tried stays at 0, on a kernel that cannot log at this hook.
	Silent error
}

// DropNFT makes the chain, in a table of its own. It needs CAP_NET_ADMIN. The chain outlives the process: Close removes
// it.
func DropNFT(iface string) (*NFT, error) {
	dev, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("nftables egress of %s: %w", iface, unix.ENODEV)
	}
	n := &NFT{table: "roje-" + iface, log: -1}
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nftables egress of %s: %w", iface, err)
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: n.table})
	policy := nftables.ChainPolicyDrop
	chain := conn.AddChain(&nftables.Chain{
		Name: "egress", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookEgress,
		Priority: nftables.ChainPriorityFilter, Device: iface, Policy: &policy,
	})
	if err := conn.Flush(); err != nil {
		return nil, fmt.Errorf("nftables egress of %s: %w", iface, err)
	}
	if rules, err := conn.GetRules(table, chain); err == nil && len(rules) > 0 { // of an earlier run
		conn.FlushChain(chain)
	}
	n.Silent = errors.Join(countDrops(conn, table, chain, dev.Index), n.listen(dev.Index))
	return n, nil
}

// NFTShut returns an error if the interface has no such chain, made by this process or another. It needs CAP_NET_ADMIN.
func NFTShut(iface string) error { return (&NFT{table: "roje-" + iface, log: -1}).Watch() }

// Watch returns an error if the chain is gone. It needs CAP_NET_ADMIN.
func (n *NFT) Watch() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return err
	}
	for _, c := range chains {
		if c.Table.Name == n.table && c.Name == "egress" && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			return nil
		}
	}
	return fmt.Errorf("the nftables chain %s egress was removed", n.table)
}

// Close removes the table.
func (n *NFT) Close() error {
	if n.log >= 0 {
		unix.Close(n.log)
		n.log = -1
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	conn.DelTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: n.table})
	return conn.Flush()
}
