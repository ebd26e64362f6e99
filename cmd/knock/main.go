// Command knock sends a knock: one packet to each port of a sequence. Its work is in package client.
package main

import (
	"context"
	"os"

	"knockd/internal/client"
)

func main() {
	os.Exit(client.Main(context.Background(), os.Args[1:], os.Getenv("KNOCK_HOST"), os.Stdout, os.Stderr))
}
