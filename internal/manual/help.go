package manual

import (
	"regexp"
	"slices"
)

var (
	helpOption = regexp.MustCompile(`(?m)^\s+(?:(-\w), )?(--[\w-]+)`)
	helpVerb   = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}`)
	usageWord  = regexp.MustCompile(`\[(--?[\w-]+)`)
)

// HelpOptions returns the options, short and long, that a program's -h lists.
func HelpOptions(help string) []string {
	var options []string
	for _, m := range helpOption.FindAllStringSubmatch(help, -1) {
		for _, option := range m[1:] {
			if option != "" {
				options = append(options, option)
			}
		}
	}
	return options
}

// HelpVerbs returns the verbs that knockd's -h lists.
func HelpVerbs(help string) []string {
	var verbs []string
	for _, m := range helpVerb.FindAllStringSubmatch(help, -1) {
		verbs = append(verbs, m[1])
	}
	return verbs
}

// UsageOptions returns the options of a usage line.
func UsageOptions(usage string) []string {
	var options []string
	for _, m := range usageWord.FindAllStringSubmatch(usage, -1) {
		options = append(options, m[1])
	}
	slices.Sort(options)
	return options
}
