package daemon

import (
	"crypto/rand"
	"fmt"

	"knockd/internal/conffile"
	"knockd/internal/config"
	"knockd/internal/decoy"
	"knockd/internal/filter"
	"knockd/internal/knock"
	"knockd/internal/onetime"
	"knockd/internal/packet"
	"knockd/internal/processors"
)

// door is a door at run time.
type door struct {
	*config.Door
	// index is the door's number in the engine.
	index int
	// oneTime is nil for a door with a fixed sequence.
	oneTime *onetime.File
	// marking is set while a used line is on its way to the disk.
	marking bool
}

// loaded is a configuration with everything it names opened and checked: what a reload swaps in.
type loaded struct {
	conf  *config.Config
	text  []byte
	doors []*door
	// notes are what to log about it, once it is in force.
	notes []config.Diagnostic
	// built is what was made of its doors off the loop, nil for nothing.
	built *built
}

// built is an engine for doors, and what it was made of.
type built struct {
	compiled compiled
	engine   *knock.Engine
}

// prepare loads a configuration and makes what the loop then puts in force, off the loop.
func prepare(key decoy.Key, load func() (*loaded, error)) (*loaded, error) {
	defer processors.Compute()()
	l, err := load()
	if err != nil {
		return nil, err
	}
	l.built = build(l.doors, key)
	return l, nil
}

func build(doors []*door, key decoy.Key) *built {
	c := compile(doors, key, listening())
	return &built{c, knock.New(c.doors, knock.Options{})}
}

// load reads the configuration and the files it names. It changes nothing.
func load(path string) (*loaded, error) {
	text, err := conffile.Open(path)
	if err != nil {
		return nil, err
	}
	return loadText(path, text)
}

func loadText(path string, text []byte) (*loaded, error) {
	conf, err := config.Parse(path, text)
	if err != nil {
		return nil, err
	}
	l := &loaded{conf: conf, text: text}
	l.notes = conf.Warnings
	for i := range conf.Doors {
		d := &door{Door: &conf.Doors[i], index: i}
		if err := l.openOneTime(d); err != nil {
			return nil, err
		}
		l.doors = append(l.doors, d)
	}
	return l, nil
}

// openOneTime opens the file of a one-time door; the reference, too, refuses to start without a usable line.
func (l *loaded) openOneTime(d *door) error {
	if d.OneTimeFile == "" {
		return nil
	}
	file, err := onetime.Open(d.OneTimeFile, config.ParseSequence)
	if err != nil {
		return config.Error{File: l.conf.Path, Line: d.Line, Message: fmt.Sprintf("door %s: %v", d.Name, err)}
	}
	for _, warning := range file.Warnings() {
		l.notes = append(l.notes, config.Diagnostic{Line: d.Line, Message: fmt.Sprintf("door %s: %s", d.Name, warning)})
	}
	sequence, ok := file.Current()
	if !ok {
		return config.Error{
			File: l.conf.Path, Line: d.Line,
			Message: fmt.Sprintf("door %s: %s has no usable sequence left", d.Name, d.OneTimeFile),
			Hint:    "write new sequences into it, one a line, each with a leading blank",
		}
	}
	d.oneTime, d.Sequence = file, sequence
	return nil
}

// compiled are the doors as the engine and the kernel's filter take them.
type compiled struct {
	doors  []knock.Door
	decoys []*decoy.Set
	rules  []filter.Rule
}

// compile chooses the decoys and turns doors into what engine and filter know of them. listening are the ports in use
// here, which no decoy may be.
func compile(doors []*door, key decoy.Key, listening []packet.Port) compiled {
	c := compiled{doors: make([]knock.Door, 0, len(doors)), rules: make([]filter.Rule, 0, len(doors))}
	var sequences []packet.Port
	sets := map[int]*decoy.Set{}
	for _, d := range doors {
		k := knock.Door{Sequence: d.Sequence, Timeout: d.SeqTimeout, Flags: d.Flags, Target: d.Target}
		rule := filter.Rule{Target: d.Target, Flags: d.Flags, Ports: d.Sequence, Once: len(d.Sequence) == 1}
		if d.Disabled != "" {
			k.Sequence, rule.Ports = nil, nil
		}
		if d.Decoys > 0 && d.Disabled == "" {
			set := sets[d.Decoys]
			if set == nil {
				if sequences == nil {
					sequences = allSequences(doors)
				}
				set = decoy.New(key, d.Decoys, listening, sequences)
				sets[d.Decoys] = set
				c.decoys = append(c.decoys, set)
			}
			k.Decoys = set
		}
		c.doors = append(c.doors, k)
		c.rules = append(c.rules, rule)
	}
	return c
}

// allSequences are the ports that no decoy may be: those of every door, and of every one-time sequence to come.
func allSequences(doors []*door) []packet.Port {
	var ports []packet.Port
	for _, d := range doors {
		ports = append(ports, d.Sequence...)
		if d.oneTime != nil {
			for _, sequence := range d.oneTime.Remaining() {
				ports = append(ports, sequence...)
			}
		}
	}
	return ports
}

// newDecoyKey draws the secret of the decoys. It panics where the system has no random source, as crypto/rand does.
func newDecoyKey() decoy.Key {
	key, err := decoy.NewKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand's reader never returns an error (Go 1.24)
	}
	return key
}
