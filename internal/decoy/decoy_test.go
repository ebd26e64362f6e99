package decoy_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"knockd/internal/decoy"
	"knockd/internal/packet"
)

func tcp(n uint16) packet.Port { return packet.Port{Proto: packet.TCP, Number: n} }
func udp(n uint16) packet.Port { return packet.Port{Proto: packet.UDP, Number: n} }

// key is a key that is the same in every run.
func key(t testing.TB, seed byte) decoy.Key {
	k, err := decoy.NewKey(rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNeighbours(t *testing.T) {
	sequences := []packet.Port{tcp(7000), tcp(7001), udp(7000), tcp(1), tcp(65535), udp(22), tcp(7003)}
	exclude := []packet.Port{udp(7001), tcp(65534)}
	s := decoy.New(key(t, 1), 0, exclude, sequences)
	want := []packet.Port{tcp(2), tcp(6999), tcp(7002), tcp(7004), udp(21), udp(23), udp(6999)}
	if got := s.Neighbours(); !slices.Equal(got, want) {
		t.Errorf("Neighbours = %v, want %v", got, want)
	}
	for _, proto := range []packet.Proto{packet.TCP, packet.UDP, 1} {
		for n := range 1 << 16 {
			p := packet.Port{Proto: proto, Number: uint16(n)}
			if s.Contains(p) != slices.Contains(want, p) {
				t.Errorf("Contains(%v) = %v", p, s.Contains(p))
			}
		}
	}
}

func TestContainsIsTheHash(t *testing.T) {
	k := key(t, 2)
	sequences := []packet.Port{tcp(7000), udp(9000), tcp(500)}
	exclude := []packet.Port{tcp(8080), udp(53)}
	s := decoy.New(k, 20000, exclude, sequences)
	if s.Key() != k {
		t.Errorf("Key = %v", s.Key())
	}
	for n := range 1 << 16 {
		for _, p := range []packet.Port{tcp(uint16(n)), udp(uint16(n))} {
			never := slices.Contains(sequences, p) || slices.Contains(exclude, p)
			hashed := n >= decoy.FirstHashed && k.Hash(p.Number) < s.Threshold()
			want := !never && (hashed || slices.Contains(s.Neighbours(), p))
			if s.Contains(p) != want {
				t.Fatalf("Contains(%v) = %v", p, s.Contains(p))
			}
		}
	}
}

// The number of hashed decoys is n in the mean over keys, whatever n is; none and all are exact.
func TestCount(t *testing.T) {
	for _, test := range []struct{ n, low, high int }{
		{-1, 0, 0},
		{0, 0, 0},
		{64, 40, 90},
		{4096, 3700, 4500},
		{40000, 37000, 43000},
		{64512, 64512, 64512},
		{1 << 30, 64512, 64512},
	} {
		const keys = 20
		total := 0
		for seed := range byte(keys) {
			s := decoy.New(key(t, seed), test.n, nil, nil)
			for n := range 1 << 16 {
				if s.Contains(udp(uint16(n))) {
					total++
				}
			}
		}
		if mean := total / keys; mean < test.low || mean > test.high {
			t.Errorf("n = %d: %d decoys in the mean", test.n, mean)
		}
	}
}

// A sweep, in order or with a stride, meets its share of decoys whatever the key: the hash has no long gaps.
func TestSweepMeetsDecoys(t *testing.T) {
	for seed := range byte(20) {
		s := decoy.New(key(t, seed), 4096, nil, nil)
		for _, stride := range []int{1, 2, 10, 100} {
			met := 0
			for i := range 640 {
				if s.Contains(tcp(uint16(1024 + (i*stride)%64512))) {
					met++
				}
			}
			// 40 are expected.
			if met < 4 {
				t.Errorf("key %d, stride %d: %d of 640 ports are decoys", seed, stride, met)
			}
		}
	}
}

func TestNewKey(t *testing.T) {
	k, err := decoy.NewKey(bytes.NewReader(make([]byte, 12)))
	if err != nil || k != (decoy.Key{Multiply: 1, Mix: 1}) {
		t.Errorf("NewKey = %v, %v", k, err)
	}
	if _, err := decoy.NewKey(bytes.NewReader(make([]byte, 11))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("NewKey of 11 bytes: %v", err)
	}
}

func TestContainsAllocatesNothing(t *testing.T) {
	s := decoy.New(key(t, 1), 4096, nil, []packet.Port{tcp(7000)})
	if n := testing.AllocsPerRun(100, func() { s.Contains(tcp(6999)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNew(b *testing.B) {
	var sequences []packet.Port
	for i := range 60000 {
		sequences = append(sequences, tcp(uint16(1024+i)))
	}
	k := key(b, 1)
	for b.Loop() {
		decoy.New(k, 4096, nil, sequences)
	}
}

func BenchmarkContains(b *testing.B) {
	s := decoy.New(key(b, 1), 4096, nil, nil)
	for b.Loop() {
		s.Contains(tcp(7000))
	}
}
