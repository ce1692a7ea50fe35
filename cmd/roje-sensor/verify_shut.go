package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor/passive"
)

// lookEvery is how often the layers around a shut port are looked at.
const lookEvery = time.Second

// shutCommand is what root runs for a port before the sensor, which then needs no right over the network
// (deploy/roje-port@.service).
func shutCommand() *cobra.Command {
	var stay, undo bool
	cmd := &cobra.Command{
		Use: "shut PORT", Short: "Put every layer of passivity around a SPAN port, to stay (root)",
		Long: `Put every layer of passivity around a SPAN port: no address, no ARP, no IPv6, merging offloads off, and three programs
that drop what is sent there: a chain of nftables, a TCX program pinned below /sys/fs/bpf/roje, and a clsact filter. They
stay when this command ends, and when the sensor ends or crashes.

With --stay it goes on, and looks at the layers once a second: it counts attempts to send and notices that a layer was
taken away, for the sensor, which has no right to look, to alert. It needs CAP_NET_ADMIN and CAP_BPF, and cannot open a
packet socket.

With --undo it takes away what drops. The port's settings stay.`,
		Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case stay && undo:
				return usageError{errors.New("either --stay or --undo")}
			case undo:
				return passive.Open(args[0])
			case !stay:
				return passive.Shut(args[0])
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			ticker := time.NewTicker(lookEvery)
			defer ticker.Stop()
			return passive.Keep(ctx, args[0], ticker.C, func() error {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is shut\n", args[0])
				return notify("READY=1")
			})
		},
	}
	cmd.Flags().BoolVar(&stay, "stay", false, "keep watch over the layers until told to end")
	cmd.Flags().BoolVar(&undo, "undo", false, "take away what drops")
	return cmd
}

// notify tells systemd, where it was what started this (sd_notify(3)).
func notify(state string) error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
