package client_test

import (
	"strconv"
	"strings"
	"testing"

	"knockd/internal/client"
)

func TestParseHit(t *testing.T) {
	const badPort, badProtocol = "want a number from 1 to 65535", "want tcp or udp"
	tests := map[string]struct {
		text   string
		want   client.Hit
		failed string
	}{
		"tcp by default":     {"7000", client.Hit{Port: 7000}, ""},
		"tcp":                {"7000:tcp", client.Hit{Port: 7000}, ""},
		"udp in capitals":    {"7000:UDP", client.Hit{Port: 7000, UDP: true}, ""},
		"lowest":             {"1", client.Hit{Port: 1}, ""},
		"highest":            {"65535", client.Hit{Port: 65535}, ""},
		"leading zeros":      {"007000", client.Hit{Port: 7000}, ""},
		"zero":               {"0", client.Hit{}, badPort},
		"too high":           {"65536", client.Hit{}, badPort},
		"negative":           {"-1", client.Hit{}, badPort},
		"sign":               {"+1", client.Hit{}, badPort},
		"space":              {" 7000", client.Hit{}, badPort},
		"hexadecimal":        {"0x10", client.Hit{}, badPort},
		"service name":       {"ssh", client.Hit{}, badPort},
		"empty":              {"", client.Hit{}, badPort},
		"protocol alone":     {":udp", client.Hit{}, badPort},
		"empty protocol":     {"7000:", client.Hit{}, badProtocol},
		"unknown protocol":   {"7000:sctp", client.Hit{}, badProtocol},
		"two protocols":      {"7000:udp:tcp", client.Hit{}, badProtocol},
		"address and a port": {"::1", client.Hit{}, badPort},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := client.ParseHit(test.text)
			if got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if (err != nil) != (test.failed != "") || err != nil && !strings.HasSuffix(err.Error(), test.failed) {
				t.Errorf("error %v, want %q", err, test.failed)
			}
		})
	}
}

func FuzzParseHit(f *testing.F) {
	for _, text := range []string{"7000", "1:udp", "65535:TCP", "0:", "::1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hit, err := client.ParseHit(text)
		if err != nil {
			return
		}
		plain := strconv.Itoa(int(hit.Port)) + ":" + hit.Protocol()
		again, err := client.ParseHit(plain)
		if err != nil || again != hit || hit.Port == 0 {
			t.Errorf("%q is %v, but %q is %v, %v", text, hit, plain, again, err)
		}
		if !strings.HasPrefix(strings.TrimLeft(text, "0"), strconv.Itoa(int(hit.Port))) {
			t.Errorf("%q became port %d", text, hit.Port)
		}
	})
}
