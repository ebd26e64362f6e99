package firewall

import (
	"context"
	"hash"
	"hash/fnv"
	"slices"

	"golang.org/x/sys/unix"
)

// fingerprint is what a generation looks like, but for the grants and the lease, which come and go.
type fingerprint struct {
	// table is the table's handle: one that was deleted and made again has another.
	table uint64
	sum   uint64
}

// fingerprint reads the table whole.
func (s *socket) fingerprint(ctx context.Context, g generation) (fingerprint, error) {
	st, err := s.read(ctx)
	if err != nil || !st.present {
		return fingerprint{}, err
	}
	sum := fnv.New64a()
	names := st.chains
	for _, f := range st.sets {
		if generation, _ := generationOf(f.set); generation != g {
			continue
		}
		names = append(names, f.set)
		if f.flags&unix.NFT_SET_TIMEOUT == 0 {
			if err := s.addElements(ctx, sum, f.place); err != nil {
				return fingerprint{}, err
			}
		}
	}
	slices.Sort(names)
	for _, n := range names {
		_, _ = sum.Write([]byte(n + "\n"))
	}
	if err := s.addRules(ctx, sum); err != nil {
		return fingerprint{}, err
	}
	return fingerprint{table: st.handle, sum: sum.Sum64()}, nil
}

func (s *socket) addElements(ctx context.Context, sum hash.Hash64, p place) error {
	elements, err := s.elements(ctx, p)
	slices.SortFunc(elements, func(a, b found) int { return slices.Compare(a.key, b.key) })
	for _, e := range elements {
		_, _ = sum.Write(append(e.key, e.chain...))
	}
	return err
}

// addRules adds the rules, with their handles: one that was replaced has another.
func (s *socket) addRules(ctx context.Context, sum hash.Hash64) error {
	rules, err := s.dump(ctx, unix.NFT_MSG_GETRULE, begin(unix.NFPROTO_INET, 0).text(unix.NFTA_RULE_TABLE, tableName))
	for _, m := range rules {
		attributes(m, func(kind uint16, value []byte) {
			if kind != unix.NFTA_RULE_PAD {
				_, _ = sum.Write(value)
			}
		})
	}
	return err
}
