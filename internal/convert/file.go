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

// blank are the characters that package config trims.
const blank = " \t\n\v\f\r"

// clean is what package config sees of a line.
func clean(line string) string {
	line, _, _ = strings.Cut(line, "\x00")
	return strings.Trim(line, blank)
}

// section returns the lines of a door, from its header on to before the next header.
func (f *file) section(header int) (from, to int) {
	from = header - 1
	for to = from + 1; to < len(f.lines) && !strings.HasPrefix(clean(f.lines[to]), "["); to++ {
		continue
	}
	return from, to
}

// keyOf is a line's directive in lower case, empty for a comment or an empty line.
func keyOf(line string) string {
	line = clean(line)
	if line == "" || line[0] == '#' {
		return ""
	}
	key, _, _ := strings.Cut(line, "=")
	return strings.ToLower(strings.Trim(key, blank))
}

// rewrite makes a door native, or takes one away that is not needed any more.
func (f *file) rewrite(p *plan) {
	from, to := f.section(p.door.Line)
	if p.removed {
		f.remove(from, to)
		return
	}
	written := false
	for i := from + 1; i < to; i++ {
		switch keyOf(f.lines[i]) {
		case "start_command", "command", "start_command_6", "command_6", "stop_command", "stop_command_6", "cmd_timeout":
			if f.gone[i] = written; !written {
				f.lines[i], written = native(f.lines[i], p), true
			}
		}
	}
}

// remove takes away a section up to its last directive, and the empty lines behind it. Comments behind them stay: they may
// belong to what follows.
func (f *file) remove(from, to int) {
	end := from + 1
	for i := end; i < to; i++ {
		if keyOf(f.lines[i]) != "" {
			end = i + 1
		}
	}
	for end < to && f.lines[end] != "" && clean(f.lines[end]) == "" {
		end++
	}
	for i := from; i < end; i++ {
		f.gone[i] = true
	}
}

// native is the lines that take the place of a door's commands, written as the first of them is: its indentation, its
// column of the sign of equality, its case.
func native(line string, p *plan) string {
	body := strings.TrimRight(line, "\r\n")
	end := line[len(body):]
	between := end
	if between == "" {
		between = "\n"
	}
	key, rest, _ := strings.Cut(body, "=")
	lead := rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
	var lines []string
	for _, d := range p.directives() {
		if p.closedBy != nil && d[0] == openFor {
			lines = append(lines, key[:len(key)-len(strings.TrimLeft(key, blank))]+p.comment())
		}
		lines = append(lines, likeKey(key, d[0])+"="+lead+d[1])
	}
	return strings.Join(lines, between) + end
}

const openFor = "Open_For"

// comment says in the file itself what is not as it was: the one thing of the door that was chosen for its owner.
func (p *plan) comment() string {
	return "# It was open until a knock at [" + p.closedBy.door.Name + "]. Now it closes by itself; what is established lives on."
}

// directives are those of a native door.
func (p *plan) directives() [][2]string {
	var list [][2]string
	if len(p.start.ports) > 0 {
		list = append(list, [2]string{"Open", p.start.String()})
	}
	if p.start.set4 != nil {
		list = append(list, [2]string{"Nft_Set", p.start.set4.String()})
	}
	if p.start.set6 != nil {
		list = append(list, [2]string{"Nft_Set_6", p.start.set6.String()})
	}
	return append(list, [2]string{openFor, short(p.openFor)})
}

// likeKey writes a key as another one is written, with the blanks around it.
func likeKey(model, key string) string {
	name := strings.TrimLeft(model, blank)
	indent := model[:len(model)-len(name)]
	if name != "" && name[0] >= 'a' && name[0] <= 'z' {
		key = strings.ToLower(key)
	}
	behind := name[len(strings.TrimRight(name, blank)):]
	switch {
	case behind == "":
		return indent + key
	case strings.ContainsRune(behind, '\t'):
		return indent + key + behind
	default:
		return indent + key + strings.Repeat(" ", max(1, len(name)-len(key)))
	}
}
