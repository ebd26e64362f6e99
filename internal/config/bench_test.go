package config

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParse20000 is a file of a provider: 20,000 native doors of three ports.
func BenchmarkParse20000(b *testing.B) {
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "[door %d]\n\tsequence = %d,%d,%d\n\topen = tcp/22\n\topen_for = 1m\n", i, 40000+i, 1024+i, 20000+i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("f", []byte(text.String())); err != nil {
			b.Fatal(err)
		}
	}
}
