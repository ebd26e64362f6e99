// Package convert turns doors that run firewall commands into native ones: text to text, as a diff.
//
// It is pure. A door that it does not understand fully it leaves as it is, byte for byte, and says why. What it can't
// see, the rest of the firewall, it tells of in notes. How native doors work belongs to package firewall.
package convert

import (
	"github.com/rogpeppe/go-internal/diff"

	"knockd/internal/config"
)

// Result is a conversion.
type Result struct {
	// Diff is the change as a unified diff, empty if there is none.
	Diff string `json:"diff"`
	// Converted are the doors that became native, or went because they only closed what now closes by itself.
	Converted []string `json:"converted"`
	Kept      []Kept   `json:"kept"`
	// NewText is the whole new file, the old one where nothing is converted.
	NewText []byte `json:"-"`
	// Notes are what to know before it is used.
	Notes []string `json:"notes"`
}

// Kept is a door that is left as it is.
type Kept struct {
	Door string `json:"door"`
	// Line is that of its header, from 1.
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// Convert reads a configuration and returns what its native form is. The error is that of config.Parse: a file that does
// not load is not converted.
func Convert(path string, text []byte) (*Result, error) {
	conf, err := config.Parse(path, text)
	if err != nil {
		return nil, err
	}
	c := &conversion{conf: conf, doors: make([]plan, len(conf.Doors))}
	for i := range conf.Doors {
		c.doors[i] = understand(&conf.Doors[i])
	}
	c.sameNames()
	c.decide()
	written := c.rewritten(text)
	if why := c.differs(path, written); why != "" {
		c.keepAll(why)
		written = text
	}
	return c.result(path, text, written), nil
}

// conversion is one file being converted.
type conversion struct {
	conf  *config.Config
	doors []plan
	notes []string
}

func (c *conversion) keepAll(why string) {
	for i := range c.doors {
		if c.doors[i].reason == "" {
			c.doors[i].reason = why
		}
	}
}

func (c *conversion) rewritten(text []byte) []byte {
	f := split(string(text))
	for i := range c.doors {
		if c.doors[i].reason == "" {
			f.rewrite(&c.doors[i])
		}
	}
	return []byte(f.String())
}

func (c *conversion) result(path string, text, written []byte) *Result {
	r := &Result{Converted: []string{}, Kept: []Kept{}, NewText: written, Notes: []string{}}
	for i := range c.doors {
		p := &c.doors[i]
		if p.reason != "" {
			r.Kept = append(r.Kept, Kept{Door: p.door.Name, Line: p.door.Line, Reason: p.reason})
			continue
		}
		r.Converted = append(r.Converted, p.door.Name)
	}
	if len(r.Converted) > 0 {
		r.Diff = string(diff.Diff(path, text, path+" (native)", written))
		c.explain()
		r.Notes = c.notes
	}
	return r
}
