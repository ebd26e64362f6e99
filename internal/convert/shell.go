package convert

import (
	"regexp"
	"strings"
)

// step is one command of a command line; or is set where it runs only if the one before it failed.
type step struct {
	words []string
	or    bool
}

const tooMuchShell = "its command uses more of the shell than can be understood for sure"

// silenced is output that is thrown away: it changes nothing of what a command does.
var silenced = regexp.MustCompile(`\s+(?:[12]?>>?\s*/dev/null|&>\s*/dev/null|2>&1)(\s|;|&&|\|\||$)`)

// parseShell splits a command line as the shell does where that is simple, and says what is not.
func parseShell(line string) ([]step, string) {
	if !strings.ContainsAny(line, `"'\`) {
		for silenced.MatchString(line) {
			line = silenced.ReplaceAllString(line, "$1")
		}
	}
	s := &shell{rest: line}
	for s.rest != "" && !s.bad {
		s.next()
	}
	s.endStep()
	if s.bad || s.dangling || len(s.steps) == 0 {
		return nil, tooMuchShell
	}
	return s.steps, ""
}

// shell is a command line being split.
type shell struct {
	rest  string
	steps []step
	words []string
	word  strings.Builder
	// inWord is set within a word, even an empty quoted one. or and dangling are about the operator before: whether it was
	// ||, and whether a command must still follow.
	inWord, or, dangling, bad bool
}

// next takes one sign, or what is quoted.
func (s *shell) next() {
	r := s.rest[0]
	switch {
	case r == '\'' || r == '"':
		s.quoted(r)
	case r == '\\':
		s.escaped()
	case strings.HasPrefix(s.rest, "&&"):
		s.operator(2, false)
	case strings.HasPrefix(s.rest, "||"):
		s.operator(2, true)
	case r == ';':
		s.operator(1, false)
	case r == '#' && !s.inWord:
		s.rest = ""
	case r == ' ' || r == '\t':
		s.endWord()
		s.rest = s.rest[1:]
	case strings.IndexByte("$`|&<>()*?[]~#\r\n", r) >= 0:
		s.bad = true
	default:
		s.take(1)
	}
}

func (s *shell) take(n int) {
	s.word.WriteString(s.rest[:n])
	s.rest, s.inWord = s.rest[n:], true
}

// quoted takes what stands between quotes. Between double ones a few signs mean something.
func (s *shell) quoted(quote byte) {
	text, rest, ok := strings.Cut(s.rest[1:], string(quote))
	if !ok || quote == '"' && strings.ContainsAny(text, "$`\\") {
		s.bad = true
		return
	}
	s.word.WriteString(text)
	s.rest, s.inWord = rest, true
}

// escaped takes a sign that is written with a backslash, as nft's braces often are.
func (s *shell) escaped() {
	if len(s.rest) < 2 || strings.IndexByte("{};,!", s.rest[1]) < 0 {
		s.bad = true
		return
	}
	s.rest = s.rest[1:]
	s.take(1)
}

// operator ends a command. There must be one before it, and behind && and || another.
func (s *shell) operator(length int, or bool) {
	s.rest = s.rest[length:]
	if !s.endStep() {
		s.bad = true
	}
	s.or, s.dangling = or, length == 2
}

func (s *shell) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
		s.word.Reset()
		s.inWord = false
	}
}

// endStep ends a command, and reports whether there is one.
func (s *shell) endStep() bool {
	s.endWord()
	if len(s.words) == 0 {
		return false
	}
	s.bad = s.bad || s.words[0] == ""
	s.steps = append(s.steps, step{words: s.words, or: s.or})
	s.words, s.dangling = nil, false
	return true
}
