// Command bench measures knockd beside knockd 0.8 and fwknopd, in network namespaces of its own, and holds the results
// against the project's bars. `make bench` runs it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"knockd/internal/netlab"
)

func main() { os.Exit(run()) }

func run() int {
	output := flag.String("json", "", "write the results to this file too")
	only := flag.String("only", "", "run only measurements whose name contains one of these, separated by commas")
	quick := flag.Bool("quick", false, "fewer repetitions, for a look")
	flag.Parse()
	if !netlab.Inside() {
		code, err := netlab.Reexec(os.Args[1:], nil)
		if err != nil {
			return fail(err)
		}
		return code
	}
	if err := netlab.Enter(); err != nil {
		return fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	b, err := newBench(*quick, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }))
	if err != nil {
		return fail(err)
	}
	b.all(ctx)
	b.print(os.Stdout)
	if *output != "" {
		if err := b.write(*output); err != nil {
			return fail(err)
		}
	}
	if b.failed() {
		return 1
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

// write writes the results as JSON.
func (b *bench) write(path string) error {
	text, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
