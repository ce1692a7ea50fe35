package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netns"

	"github.com/roje-ot/roje/sensor/passive/diode"
)

// diodeCommand is the installation by which the sensor does not reach its port at all. It is run by root, once per
// start of the host (deploy/roje-diode@.service).
func diodeCommand() *cobra.Command {
	var outside, namespace string
	cmd := &cobra.Command{Use: "diode", Short: "Put a SPAN port behind a diode in the kernel (root)", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: install, remove or status")}
		}}
	cmd.PersistentFlags().StringVar(&outside, "as", "roje0", "`NAME` of the interface that the sensor watches instead of the port")
	cmd.PersistentFlags().StringVar(&namespace, "namespace", "roje-span", "`NAME` of the port's network namespace")
	cmd.AddCommand(
		&cobra.Command{Use: "install PORT", Short: "Move the port into a namespace of its own, and hand its frames out of it", Args: needs(cobra.ExactArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error {
				in, made, err := enter(namespace)
				if err != nil {
					return err
				}
				defer in.Close()
				if err := diode.Install(args[0], outside, in); err != nil {
					if made {
						err = errors.Join(err, netns.DeleteNamed(namespace))
					}
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is in the namespace %s; let the sensor watch %s\n", args[0], namespace, outside)
				return nil
			}},
		&cobra.Command{Use: "remove PORT", Short: "Take the port back; it is left down", Args: needs(cobra.ExactArgs(1)),
			RunE: func(_ *cobra.Command, args []string) error {
				in, err := netns.GetFromName(namespace)
				if err != nil {
					return fmt.Errorf("namespace %s: %w", namespace, err)
				}
				defer in.Close()
				return errors.Join(diode.Remove(args[0], outside, in), netns.DeleteNamed(namespace))
			}},
		&cobra.Command{Use: "status", Short: "How many frames the sensor's side has tried to send", Args: needs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				in, err := netns.GetFromName(namespace)
				if err != nil {
					return fmt.Errorf("namespace %s: %w", namespace, err)
				}
				defer in.Close()
				n, err := diode.Tried(in)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d frames tried and dropped\n", n)
				return nil
			}},
	)
	return cmd
}

// enter returns the named namespace, and whether it had to be made.
func enter(name string) (in netns.NsHandle, made bool, err error) {
	if in, err = netns.GetFromName(name); err == nil {
		return in, false, nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		return in, false, err
	}
	defer here.Close()
	if in, err = netns.NewNamed(name); err != nil {
		return in, false, fmt.Errorf("make the namespace %s: %w", name, err)
	}
	return in, true, netns.Set(here)
}
