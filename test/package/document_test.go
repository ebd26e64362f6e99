package packages

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

// document is what a Markdown file tells its reader to type, and to write into a configuration.
type document struct {
	name     string
	commands []command
	configs  []config
}

// command is a command line, with where it stands.
type command struct {
	line int
	text string
}

// config is an indented block with directives.
type config = command

// read takes a document apart. Commands are: the lines behind a prompt in a console block, indented lines that begin with
// a program, and code in the text that begins with one and goes on.
func readDocument(t *testing.T, name string) document {
	t.Helper()
	text, err := os.ReadFile(repository + "/" + name)
	netlabtest.Check(t, err)
	r := reader{document: document{name: name}}
	for i, l := range strings.Split(string(text), "\n") {
		r.line(i+1, l)
	}
	r.endBlock()
	return r.document
}

// reader reads line by line.
type reader struct {
	document
	fence     string // what the open fenced block is of; "" outside
	fenced    bool
	block     config
	continued bool
}

// program begins a command.
var program = regexp.MustCompile(`^(?:sudo )?(?:knockd|knock|make|ssh|systemctl|docker|podman|apt|apt-get|dpkg|rpm|dnf|git|curl|go|nft|install|cp|chmod|rc-update|rc-service|logrotate)(?: |$)`)

var inlineCode = regexp.MustCompile("`([^`]+)`")

func (r *reader) line(n int, l string) {
	fence, isFence := strings.CutPrefix(l, "```")
	switch {
	case isFence:
		r.fenced, r.fence = !r.fenced, fence
	case r.fenced:
		if r.fence == "console" {
			r.console(n, l)
		}
	case strings.HasPrefix(l, "    "):
		r.indented(n, l[4:])
	default:
		r.endBlock()
		for _, code := range inlineCode.FindAllStringSubmatch(l, -1) {
			if program.MatchString(code[1]) && strings.Contains(code[1], " ") && !strings.Contains(code[1], "…") {
				r.add(n, code[1])
			}
		}
	}
}

// console takes the lines behind a prompt; a backslash at the end joins the next one.
func (r *reader) console(n int, l string) {
	text, prompt := strings.CutPrefix(l, "# ")
	if !prompt {
		text, prompt = strings.CutPrefix(l, "$ ")
	}
	switch {
	case r.continued:
		last := &r.commands[len(r.commands)-1]
		last.text += " " + strings.TrimSpace(strings.TrimSuffix(l, `\`))
	case prompt:
		r.add(n, strings.TrimSpace(strings.TrimSuffix(text, `\`)))
	default:
		return // what a command prints
	}
	r.continued = strings.HasSuffix(l, `\`)
}

func (r *reader) indented(n int, l string) {
	if program.MatchString(l) && !strings.Contains(l, " = ") {
		r.add(n, l)
		return
	}
	if r.block.text == "" {
		r.block.line = n
	}
	r.block.text += l + "\n"
}

// endBlock keeps an indented block that is about doors.
func (r *reader) endBlock() {
	if strings.Contains(r.block.text, " = ") || strings.HasPrefix(r.block.text, "[") {
		r.configs = append(r.configs, r.block)
	}
	r.block = config{}
}

var comment = regexp.MustCompile(` +# .*$`)

func (r *reader) add(n int, text string) {
	r.commands = append(r.commands, command{n, strings.TrimSpace(comment.ReplaceAllString(text, ""))})
}
