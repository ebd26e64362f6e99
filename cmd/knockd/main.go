// Command knockd is a port-knock server: see knockd(8).
package main

import (
	"os"

	"knockd/internal/cli"
)

func main() { os.Exit(cli.Main(cli.OS())) }
