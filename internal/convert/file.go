package convert

import "strings"

// file is the configuration line by line: what is not changed stays as it is, byte for byte.
type file struct {
	lines []string // with their ends
	gone  []bool
}

func split(text string) file {
	lines := strings.SplitAfter(text, "\n")
	return file{lines: lines, gone: make([]bool, len(lines))}
}

// String returns the file without the lines that are gone.
func (f *file) String() string {
	var b strings.Builder
	for i, line := range f.lines {
		if !f.gone[i] {
			b.WriteString(line)
		}
	}
	return b.String()
}

// section returns the lines of a door, from its header on, to before the next section and the comments right above that.
func (f *file) section(header int) (from, to int) {
	from = header - 1
	for to = from + 1; to < len(f.lines); to++ {
		if strings.HasPrefix(strings.TrimSpace(f.lines[to]), "[") {
			break
		}
	}
	end := to
	for end > from+1 && strings.HasPrefix(strings.TrimSpace(f.lines[end-1]), "#") && to < len(f.lines) {
		end--
	}
	return from, end
}

// keyOf is a line's directive in lower case, empty for a comment or an empty line.
func keyOf(line string) string {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return ""
	}
	key, _, _ := strings.Cut(line, "=")
	return strings.ToLower(strings.TrimSpace(key))
}

// rewrite makes a door native, or takes one away that is not needed any more.
func (f *file) rewrite(p *plan) {
	from, to := f.section(p.door.Line)
	if p.removed {
		for i := from; i < to; i++ {
			f.gone[i] = true
		}
		return
	}
	written := false
	for i := from; i < to; i++ {
		switch keyOf(f.lines[i]) {
		case "start_command", "command", "start_command_6", "command_6", "stop_command", "stop_command_6", "cmd_timeout":
			if written {
				f.gone[i] = true
				continue
			}
			f.lines[i] = native(f.lines[i], p)
			written = true
		}
	}
}

// native is the lines that take the place of a door's commands, with the indentation of the first of them.
func native(line string, p *plan) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	end := line[len(strings.TrimRight(line, "\r\n")):]
	what := "open     = " + p.start.String()
	if p.start.set != nil {
		what = "nft_set  = " + p.start.set.String()
	}
	text := indent + what
	if end == "" {
		return text + "\n" + indent + "open_for = " + short(p.openFor)
	}
	return text + end + indent + "open_for = " + short(p.openFor) + end
}
