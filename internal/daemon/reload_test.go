package daemon

import (
	"slices"
	"testing"

	"knockd/internal/config"
)

func doorsOfText(t *testing.T, text string) []*door {
	t.Helper()
	conf, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var list []*door
	for i := range conf.Doors {
		list = append(list, &door{Door: &conf.Doors[i], index: i})
	}
	return list
}

func TestMatch(t *testing.T) {
	const a, b = "[a]\nsequence = 1,2\ncommand = x\n", "[b]\nsequence = 3,4\n"
	for _, test := range []struct {
		name, old, next string
		want            []int
	}{
		{"nothing changed", a + b, a + b, []int{0, 1}},
		{"their order, and lines between", a + b, "# more\n\n" + b + a, []int{1, 0}},
		{"one is gone", a + b, b, []int{-1, 0}},
		{"one changed", a + b, "[a]\nsequence = 1,2\ncommand = y\n" + b, []int{-1, 1}},
		{"two of one name", a + a, a + b + a, []int{0, 2}},
		{"one more of the name", a, a + a, []int{0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := match(doorsOfText(t, test.old), doorsOfText(t, test.next)); !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
