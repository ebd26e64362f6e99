// Package advice looks at the other tables of the kernel's firewall, and says where one would still drop what a native door
// opens: our table never accepts for another.
//
// It looks only, and at what is certain: a rule that can't be followed counts as one that might accept. What our own table
// does belongs to package firewall.
package advice

import (
	"context"
	"fmt"

	"knockd/internal/config"
)

// Open is what a door opens.
type Open struct {
	Door  string
	Ports config.PortRange
}

// Finding is a door whose port would stay shut.
type Finding struct {
	Door string
	// Problem says what drops; Fix what to do.
	Problem, Fix string
}

// Check asks what every base chain but ours does to a new connection from far away to each port: those of nftables,
// iptables-nft among them, and those of iptables-legacy where its tables are in use. Errors are those of the kernel; without
// CAP_NET_ADMIN fs.ErrPermission. It works in the network namespace of the calling thread.
func Check(ctx context.Context, opens []Open) ([]Finding, error) {
	nft, untracked, err := readNft()
	if err != nil {
		return nil, fmt.Errorf("reading the nftables ruleset: %w", err)
	}
	legacy, untrackedToo, err := readLegacy()
	if err != nil {
		return nil, fmt.Errorf("reading the rules of iptables-legacy: %w", err)
	}
	way := newWay(append(nft, legacy...), untracked || untrackedToo)
	families := familiesInUse()
	var findings []Finding
	for _, o := range opens {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		findings = append(findings, way.check(o, families)...)
	}
	return findings, nil
}
