package config

import "fmt"

// checkNative refuses what a native door can't be, and gives it its decoys.
func (p *parser) checkNative() {
	d := p.door
	open, set4, set6 := p.lineOf("Open"), p.lineOf("Nft_Set"), p.lineOf("Nft_Set_6")
	switch {
	case open > 0 && set4+set6 > 0:
		p.failAt(p.lastOf("Open", "Nft_Set", "Nft_Set_6"), "Open together with Nft_Set", "keep Open to hide the ports here, or Nft_Set to leave that to your own rules")
	case open > 0 && p.lineOf("Target") > 0:
		p.failAt(p.lastOf("Open", "Target"), "Open together with Target", "a door with Open guards this machine: remove Target, or use Nft_Set")
	case d.Set4 != nil && d.Set6 != nil && *d.Set4 == *d.Set6:
		p.failAt(p.lastOf("Nft_Set", "Nft_Set_6"), "Nft_Set and Nft_Set_6 name the same set", "a set holds addresses of one kind: make one for each")
	}
	if open+set4+set6 == 0 {
		p.refuseWithout("Open or Nft_Set", "Open_For", "Admit", "Max_Open", "Hide")
		return
	}
	if open == 0 {
		p.refuseWithout("Open", "Hide")
	}
	p.nameOnce()
	if p.lineOf("Decoys") == 0 {
		d.Decoys = DefaultDecoys
	}
}

func (p *parser) refuseWithout(what string, names ...string) {
	for _, name := range names {
		if line := p.lineOf(name); line > 0 {
			p.failAt(line, fmt.Sprintf("%s without %s", name, what), "add "+what+", or remove it")
		}
	}
}

// nameOnce refuses a second native door of a name: grants are kept by the door's name.
func (p *parser) nameOnce() {
	d := p.door
	if before, ok := p.natives[d.Name]; ok {
		p.failAt(d.Line, fmt.Sprintf("a second native door %q, the first is on line %d", d.Name, before), "give it another name; two doors may open the same port")
		return
	}
	p.natives[d.Name] = d.Line
}
