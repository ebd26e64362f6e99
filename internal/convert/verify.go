package convert

import (
	"fmt"
	"slices"

	"knockd/internal/config"
)

// differs reads the new file as the daemon would, and says what is not as planned, empty if all is: converted doors are
// native with the ports and the time that they had, and everything else means what it meant.
func (c *conversion) differs(path string, written []byte) string {
	after, err := config.Parse(path, written)
	if err != nil {
		return "the native form of this file would not load: " + err.Error()
	}
	if fmt.Sprintf("%+v", after.Options) != fmt.Sprintf("%+v", c.conf.Options) {
		return "the options would not mean the same any more"
	}
	doors := after.Doors
	for i := range c.doors {
		p := &c.doors[i]
		if p.reason == "" && p.removed {
			continue
		}
		if len(doors) == 0 || meaning(doors[0]) != meaning(p.expected(doors[0].Decoys)) {
			return "the native form of [" + p.door.Name + "] would not mean the same"
		}
		doors = doors[1:]
	}
	if len(doors) > 0 {
		return "the native form of this file would have a door more"
	}
	return ""
}

// meaning is all that a door says, wherever it stands.
func meaning(d config.Door) string {
	sets := fmt.Sprint(d.Set4, d.Set6)
	d.Line, d.Set4, d.Set6 = 0, nil, nil
	return fmt.Sprintf("%+v %s", d, sets)
}

// expected is the door as it should be read from the new file. A native door has decoys where it does not say that it has
// none.
func (p *plan) expected(decoys int) config.Door {
	d := *p.door
	if p.reason != "" {
		return d
	}
	d.Start, d.Stop, d.CmdTimeout = config.Command{}, config.Command{}, config.DefaultCmdTimeout
	d.Open, d.Set4, d.Set6, d.OpenFor = slices.Clone(p.start.ports), p.start.set4, p.start.set6, p.openFor
	if d.Decoys == 0 {
		d.Decoys = decoys
	}
	return d
}
