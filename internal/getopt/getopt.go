// Package getopt reads command lines the way getopt_long(3) of the GNU C library does, so that whoever is used to the
// reference's options finds every habit: bundled short options (-vD), attached arguments (-ieth0, --interface=eth0),
// unambiguous abbreviations (--verb), options after operands, and "--". Errors have that library's wording.
//
// It is pure: it knows no program's options, prints nothing and ends nothing.
package getopt

import (
	"errors"
	"strings"
)

// Option is an option that a program knows.
type Option struct {
	Long     string // name without dashes; empty if there is only a short one
	Short    byte   // 0 if there is only a long one
	Argument bool   // whether it takes an argument, which is then required
}

// Given is an option as it was given.
type Given struct {
	Option
	Value string // its argument; empty for options without one
}

// Parse splits args (without the program's name) into options, in order, and operands, in order. At the first error it
// stops and returns the options before it, since one of them (--help) may end the program before the error counts. The
// error reads like "unrecognized option '--foo'"; getopt_long prints the program's name and ": " before it.
func Parse(args []string, known []Option) (given []Given, operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return given, append(operands, args...), nil
		case strings.HasPrefix(arg, "--"):
			var g Given
			if g, args, err = long(arg[2:], args, known); err != nil {
				return given, operands, err
			}
			given = append(given, g)
		case len(arg) > 1 && arg[0] == '-':
			if given, args, err = short(given, arg[1:], args, known); err != nil {
				return given, operands, err
			}
		default:
			operands = append(operands, arg)
		}
	}
	return given, operands, nil
}

// short reads a cluster of short options; the argument of one is the rest of the cluster or else the next of args.
func short(given []Given, cluster string, args []string, known []Option) ([]Given, []string, error) {
	for i := range len(cluster) {
		option, ok := find(cluster[i], known)
		switch {
		case !ok:
			return given, args, errors.New("invalid option -- '" + cluster[i:i+1] + "'")
		case !option.Argument:
			given = append(given, Given{Option: option})
		case i+1 < len(cluster):
			return append(given, Given{Option: option, Value: cluster[i+1:]}), args, nil
		case len(args) > 0:
			return append(given, Given{Option: option, Value: args[0]}), args[1:], nil
		default:
			return given, args, errors.New("option requires an argument -- '" + cluster[i:i+1] + "'")
		}
	}
	return given, args, nil
}

func find(letter byte, known []Option) (Option, bool) {
	for _, o := range known {
		if o.Short == letter && letter != 0 {
			return o, true
		}
	}
	return Option{}, false
}

// long reads one long option; its argument follows "=" or else is the next of args.
func long(text string, args []string, known []Option) (Given, []string, error) {
	name, value, attached := strings.Cut(text, "=")
	option, err := match(name, text, known)
	switch {
	case err != nil:
		return Given{}, args, err
	case !option.Argument && attached:
		return Given{}, args, errors.New("option '--" + option.Long + "' doesn't allow an argument")
	case !option.Argument || attached:
		return Given{Option: option, Value: value}, args, nil
	case len(args) == 0:
		return Given{}, args, errors.New("option '--" + option.Long + "' requires an argument")
	}
	return Given{Option: option, Value: args[0]}, args[1:], nil
}

// match finds the long option of that name, or the only one that begins so. text is the option as it was given.
func match(name, text string, known []Option) (Option, error) {
	var candidates []Option
	for _, o := range known {
		switch {
		case o.Long == "":
		case o.Long == name:
			return o, nil
		case strings.HasPrefix(o.Long, name):
			candidates = append(candidates, o)
		}
	}
	switch len(candidates) {
	case 0:
		return Option{}, errors.New("unrecognized option '--" + text + "'")
	case 1:
		return candidates[0], nil
	}
	message := "option '--" + text + "' is ambiguous; possibilities:"
	for _, o := range candidates {
		message += " '--" + o.Long + "'"
	}
	return Option{}, errors.New(message)
}
