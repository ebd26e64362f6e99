package config

import "slices"

// Same reports whether another door says the same, wherever in its file. (Field by field, for a reload compares thousands
// while knocks wait.)
func (d *Door) Same(o *Door) bool {
	return d.Name == o.Name && slices.Equal(d.Sequence, o.Sequence) && d.OneTimeFile == o.OneTimeFile &&
		d.SeqTimeout == o.SeqTimeout && d.Flags == o.Flags && d.FlagsSet == o.FlagsSet && d.Target == o.Target &&
		d.Start == o.Start && d.Stop == o.Stop && d.CmdTimeout == o.CmdTimeout && d.OnRepeat == o.OnRepeat &&
		d.Cooldown == o.Cooldown && slices.Equal(d.Open, o.Open) && d.OpenFor == o.OpenFor && d.Admit4 == o.Admit4 &&
		d.Admit6 == o.Admit6 && d.MaxOpen == o.MaxOpen && d.Hide == o.Hide && sameSet(d.Set4, o.Set4) &&
		sameSet(d.Set6, o.Set6) && d.Decoys == o.Decoys && d.Disabled == o.Disabled
}

func sameSet(a, b *SetRef) bool { return a == b || a != nil && b != nil && *a == *b }
