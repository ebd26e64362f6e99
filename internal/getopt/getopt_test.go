package getopt_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"knockd/internal/getopt"
)

// known are options like knockd's: two that begin alike, and one that is a prefix of another.
var known = []getopt.Option{
	{Long: "interface", Short: 'i', Argument: true},
	{Long: "debug", Short: 'D'},
	{Long: "daemon", Short: 'd'},
	{Long: "only-ip-v4", Short: '4'},
	{Long: "verbose", Short: 'v'},
	{Long: "version", Short: 'V'},
	{Long: "log", Argument: true},
	{Long: "logfile", Short: 'g', Argument: true},
	{Short: 'x'},
}

// show writes what Parse returns the way getopt(1) does: options, "--", operands, and the error.
func show(args []string) (parsed, failed string) {
	given, operands, err := getopt.Parse(args, known)
	var b strings.Builder
	for _, g := range given {
		if g.Long != "" && g.Short == 0 {
			b.WriteString(" --" + g.Long)
		} else {
			b.WriteString(" -" + string(rune(g.Short)))
		}
		if g.Argument {
			b.WriteString(" '" + g.Value + "'")
		}
	}
	if err != nil {
		return b.String(), err.Error()
	}
	b.WriteString(" --")
	for _, o := range operands {
		b.WriteString(" '" + o + "'")
	}
	return b.String(), ""
}

func TestParse(t *testing.T) {
	tests := map[string]struct{ args, parsed, failed string }{
		"nothing":                    {"", " --", ""},
		"bundled":                    {"-vD", " -v -D --", ""},
		"attached":                   {"-ieth0", " -i 'eth0' --", ""},
		"bundled and attached":       {"-vDieth0", " -v -D -i 'eth0' --", ""},
		"apart":                      {"-i eth0", " -i 'eth0' --", ""},
		"argument looks like option": {"-i -v", " -i '-v' --", ""},
		"argument is two dashes":     {"--interface -- -v", " -i '--' -v --", ""},
		"long with equals":           {"--interface=eth0", " -i 'eth0' --", ""},
		"long with empty argument":   {"--interface=", " -i '' --", ""},
		"long apart":                 {"--interface eth0", " -i 'eth0' --", ""},
		"second equals is value":     {"--interface=a=b", " -i 'a=b' --", ""},
		"abbreviated":                {"--verb --int=eth0 --o", " -v -i 'eth0' -4 --", ""},
		"exact name of a prefix":     {"--log f --logf g", " --log 'f' -g 'g' --", ""},
		"permuted":                   {"a -v b -i c d", " -v -i 'c' -- 'a' 'b' 'd'", ""},
		"end of options":             {"a -- -v --foo", " -- 'a' '-v' '--foo'", ""},
		"single dash is operand":     {"- -v", " -v -- '-'", ""},
		"unknown long":               {"-v --foo", " -v", "unrecognized option '--foo'"},
		"unknown long with value":    {"--foo=bar", "", "unrecognized option '--foo=bar'"},
		"unknown short":              {"-vzD", " -v", "invalid option -- 'z'"},
		"long name with one dash":    {"-verbose", " -v", "invalid option -- 'e'"},
		"short lacks argument":       {"-vi", " -v", "option requires an argument -- 'i'"},
		"long lacks argument":        {"--inter", "", "option '--interface' requires an argument"},
		"long refuses argument":      {"--verb=yes", "", "option '--verbose' doesn't allow an argument"},
		"ambiguous": {
			"--ver", "", "option '--ver' is ambiguous; possibilities: '--verbose' '--version'",
		},
		"ambiguous with value": {
			"--d=5", "", "option '--d=5' is ambiguous; possibilities: '--debug' '--daemon'",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			parsed, failed := show(strings.Fields(test.args))
			if diff := cmp.Diff(test.parsed, parsed); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.failed, failed); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-vDieth0 a --inter eth1 -- -x")
	f.Add("--ver --log=5 - -")
	f.Add("-\x00 --=")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		given, operands, err := getopt.Parse(args, known)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a message")
			}
			return
		}
		// What was read, written in the plainest form, reads the same: operands last, long names whole.
		var plain []string
		for _, g := range given {
			plain = append(plain, spell(g)...)
		}
		plain = append(append(plain, "--"), operands...)
		again, operandsAgain, err := getopt.Parse(plain, known)
		if err != nil {
			t.Fatalf("%q, from %q: %v", plain, args, err)
		}
		if diff := cmp.Diff(given, again); diff != "" {
			t.Errorf("options of %q differ from those of %q:\n%s", args, plain, diff)
		}
		if diff := cmp.Diff(operands, operandsAgain); diff != "" {
			t.Errorf("operands of %q differ from those of %q:\n%s", args, plain, diff)
		}
	})
}

func spell(g getopt.Given) []string {
	switch {
	case g.Long == "":
		return []string{"-" + string(rune(g.Short))}
	case g.Argument:
		return []string{"--" + g.Long, g.Value}
	}
	return []string{"--" + g.Long}
}
