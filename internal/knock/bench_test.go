package knock

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"knockd/internal/packet"
)

func manyDoors(n int) []Door {
	r := rand.New(rand.NewPCG(1, 2))
	doors := make([]Door, n)
	for i := range doors {
		for k := range 3 {
			_ = k
			doors[i].Sequence = append(doors[i].Sequence, packet.Port{Proto: packet.TCP, Number: uint16(1 + r.IntN(65535))})
		}
		doors[i].Timeout = 25 * time.Second
	}
	return doors
}

func BenchmarkNew20000Doors(b *testing.B) {
	doors := manyDoors(20000)
	b.ReportAllocs()
	for b.Loop() {
		New(doors, Options{})
	}
}

// BenchmarkStep shows what one packet costs: the doors are 1 or 20,000, the sources of few or ever new.
func BenchmarkStep(b *testing.B) {
	for _, doors := range []int{1, 20000} {
		for _, bench := range []struct {
			name string
			from func(i uint32) netip.Addr
		}{
			{"KnownSource", func(uint32) netip.Addr { return alice }},
			{"NewSources", visitor},
		} {
			name := bench.name + "/1Door"
			list := []Door{doorOf(25, 1, 2, 3)}
			if doors > 1 {
				name, list = bench.name+"/20000Doors", append(list, manyDoors(doors-1)...)
			}
			b.Run(name, func(b *testing.B) {
				e := engineOf(list...)
				events := make([]Event, 0, 64)
				b.ReportAllocs()
				i := uint32(0)
				for b.Loop() {
					p := hit(bench.from(i), time.Duration(i)*time.Microsecond, 1)
					events = e.Step(&p, events[:0])
					i++
				}
			})
		}
	}
}

// BenchmarkStepAtSharedFirstPort has doors that all begin with one port: a packet there has as many events.
func BenchmarkStepAtSharedFirstPort(b *testing.B) {
	for _, n := range []uint16{1, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var doors []Door
			for i := range n {
				doors = append(doors, doorOf(25, 1, 1000+i, 2))
			}
			e := engineOf(doors...)
			events := make([]Event, 0, n)
			b.ReportAllocs()
			for b.Loop() {
				p := hit(alice, 0, 1)
				events = e.Step(&p, events[:0])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
		})
	}
}

// BenchmarkKnock is a whole right knock of a new source.
func BenchmarkKnock(b *testing.B) {
	e := engineOf(doorOf(25, 1, 2, 3))
	events := make([]Event, 0, 8)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		for port := uint16(1); port <= 3; port++ {
			p := hit(visitor(i), time.Duration(i)*time.Microsecond, port)
			events = e.Step(&p, events[:0])
		}
		i++
	}
}

func BenchmarkStepOfNoDoor(b *testing.B) {
	e := engineOf(doorOf(25, 1, 2, 3))
	p := hit(alice, 0, 9)
	b.ReportAllocs()
	for b.Loop() {
		e.Step(&p, nil)
	}
}
