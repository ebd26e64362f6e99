package packet

import "errors"

// Parse fills p from b, which begins at an IPv4 or IPv6 header. STUB: see docs/ARCHITECTURE.md.
func Parse(b []byte, p *Packet) error { return errors.New("not written") }
