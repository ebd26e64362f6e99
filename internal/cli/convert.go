package cli

import (
	"context"
	"fmt"

	"knockd/internal/conffile"
	"knockd/internal/convert"
)

// convertFile prints the native configuration that stands for one with commands, as a unified diff.
func convertFile(_ context.Context, p *Program, args []string) error {
	a, err := parseAsked(args)
	if err != nil {
		return err
	}
	if len(a.operands) > 0 {
		a.config = a.operands[0]
	}
	text, err := conffile.Open(a.config)
	if err != nil {
		return err
	}
	result, err := convert.Convert(a.config, text)
	if err != nil {
		return err
	}
	return p.print(a, result, func() { p.printConversion(a.config, result) })
}

func (p *Program) printConversion(path string, r *convert.Result) {
	_, _ = fmt.Fprint(p.Stdout, r.Diff)
	for _, kept := range r.Kept {
		_, _ = fmt.Fprintf(p.Stderr, "%s:%d: [%s] is left as it is: %s\n", path, kept.Line, kept.Door, kept.Reason)
	}
	for _, note := range r.Notes {
		_, _ = fmt.Fprintf(p.Stderr, "note: %s\n", note)
	}
	if len(r.Converted) > 0 {
		_, _ = fmt.Fprintf(p.Stderr, "to apply: knockd convert -c %[1]s | patch -b %[1]s && knockd check -c %[1]s && knockd try 5m\n", path)
	}
}
