package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/plant"
)

// listFlags say which point lists are meant: those of a configuration, or files by themselves.
type listFlags struct {
	config string
	files  []string
}

func (f *listFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "take the lists of the configuration `FILE`")
	cmd.Flags().StringArrayVar(&f.files, "points", nil, "a point list or device profile `FILE`; may be repeated")
}

// given tells whether lists are meant at all.
func (f *listFlags) given() bool { return f.config != "" || len(f.files) > 0 }

// lists are the files that are meant, with what a configuration says of them, and that configuration, if one was named.
func (f *listFlags) lists() ([]plant.File, *sensor.Config, error) {
	if (f.config == "") == (len(f.files) == 0) {
		return nil, nil, usageError{errors.New("name the lists, with --config FILE or with --points FILE")}
	}
	if f.config == "" {
		return listsOf(f.files), nil, nil
	}
	cfg, err := sensor.LoadConfig(f.config)
	if err == nil && len(cfg.Points) == 0 {
		err = fmt.Errorf("config %s names no point lists (points:)", f.config)
	}
	return cfg.Points, &cfg, err
}

// listsOf are files that say all by themselves.
func listsOf(paths []string) (files []plant.File) {
	for _, path := range paths {
		files = append(files, plant.File{Path: path})
	}
	return files
}

func pointsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "points", Short: "Check point lists, and compare them with what is seen and what was learned", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: check, compare")}
		}}
	cmd.AddCommand(pointsCheck(), pointsCompare())
	return cmd
}

// pointsCheck says all that is wrong with lists, and what of them is not read.
func pointsCheck() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{Use: "check {--config FILE | --points FILE...}", Short: "Say all that is wrong with point lists and device profiles", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			files, _, err := f.lists()
			if err != nil {
				return err
			}
			book, err := plant.Load(files)
			if err != nil {
				return err
			}
			return sayLists(cmd.OutOrStdout(), book)
		}}
	f.add(cmd)
	return cmd
}

// sayLists says how many points the lists have of each station, and which columns nobody reads.
func sayLists(w io.Writer, book *plant.Book) error {
	count, order := map[string]int{}, []string{}
	for _, p := range book.Points {
		where := p.Proto.Name + " " + p.Where()
		if count[where]++; count[where] == 1 {
			order = append(order, where)
		}
	}
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	for _, where := range order {
		line("%s: %d points", where, count[where])
	}
	for _, path := range slices.Sorted(maps.Keys(book.Unread)) {
		if headings := book.Unread[path]; len(headings) > 0 {
			line("%s: columns that nobody reads: %q", path, headings)
		}
	}
	line("%d points are good", len(book.Points))
	return err
}

// pointsCompare is the three-way comparison.
func pointsCompare() *cobra.Command {
	var f listFlags
	c := sensor.Comparing{Warn: os.Stderr}
	var asJSON bool
	cmd := &cobra.Command{Use: "compare {--config FILE | --points FILE...} [--state DIR] [CAPTURE...]",
		Short: "Compare point lists with what is seen and with what was learned",
		Long: "Compare point lists with what is seen and with what was learned: points that were never seen, that are not listed, that are of another type, that are commanded " +
			"though they are only to be read. What is seen comes from the captures, or without any from the events that the sensor has stored; what was learned from the baseline in the state folder.",
		RunE: func(cmd *cobra.Command, args []string) error {
			files, cfg, err := f.lists()
			if err != nil {
				return err
			}
			c.Lists, c.Captures = files, args
			if cfg != nil && c.State == "" {
				c.State = cfg.State
				if cfg.Events != "off" {
					c.Events = cfg.Events
				}
			}
			r, err := sensor.ComparePoints(cmd.Context(), c)
			if err != nil {
				return err
			}
			if !asJSON {
				_, err := io.WriteString(cmd.OutOrStdout(), r.String())
				return err
			}
			lines, err := sensor.OpenLines("-")
			if err != nil {
				return err
			}
			for _, finding := range r.Findings {
				lines.Write(finding)
			}
			return lines.Close()
		}}
	f.add(cmd)
	cmd.Flags().StringVar(&c.State, "state", "", "`DIR` of the sensor's state: its baseline, and its stored events where no capture is named")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per finding and line")
	return cmd
}
