package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// report is everything that was measured.
type report struct {
	Machine machine  `json:"machine"`
	Results []result `json:"results"`
}

// machine is where it was measured.
type machine struct {
	Kernel string    `json:"kernel"`
	CPU    string    `json:"cpu"`
	CPUs   int       `json:"cpus"`
	Go     string    `json:"go"`
	Commit string    `json:"commit"`
	Time   time.Time `json:"time"`
}

// result is one line of the table.
type result struct {
	Name string `json:"name"`
	// Ours and Reference are told in words; Spread is of ours: what lies between the first and the last tenth.
	Ours      string  `json:"ours"`
	Spread    string  `json:"spread,omitempty"`
	Reference string  `json:"reference,omitempty"`
	Bar       string  `json:"bar,omitempty"`
	Value     float64 `json:"value"`
	// Met is empty where there is no bar, else yes or NO.
	Met string `json:"met,omitempty"`
}

func describe(ctx context.Context) machine {
	m := machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), Time: time.Now().UTC()}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				m.CPU = strings.Trim(name, "\t :\n")
			}
		}
	}
	if out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

// add takes a result, and holds it against its bar.
func (b *bench) add(r result, bar func(value float64) bool) {
	if bar != nil {
		r.Met = "yes"
		if !bar(r.Value) {
			r.Met = "NO"
		}
	}
	b.report.Results = append(b.report.Results, r)
	fmt.Fprintf(os.Stderr, "%s: %s%s\n", r.Name, r.Ours, mark(r.Met))
}

func mark(met string) string {
	if met == "NO" {
		return "  (bar missed)"
	}
	return ""
}

// broken notes a measurement that could not be made: it fails the run.
func (b *bench) broken(name string, err error) {
	b.add(result{Name: name, Ours: "not measured: " + err.Error(), Value: 0}, func(float64) bool { return false })
}

func (b *bench) failed() bool {
	return slices.ContainsFunc(b.report.Results, func(r result) bool { return r.Met == "NO" })
}

func (b *bench) print(w io.Writer) {
	m := b.report.Machine
	_, _ = fmt.Fprintf(w, "%s, %d CPUs, Linux %s, %s, commit %s, %s\n\n", m.CPU, m.CPUs, m.Kernel, m.Go, m.Commit, m.Time.Format(time.RFC3339))
	t := tabwriter.NewWriter(w, 0, 8, 1, ' ', 0)
	_, _ = fmt.Fprintln(t, "| what\t| ours\t| spread (10-90 %)\t| reference, same run\t| bar\t| met\t|")
	_, _ = fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range b.report.Results {
		_, _ = fmt.Fprintf(t, "| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r.Name, r.Ours, r.Spread, r.Reference, r.Bar, r.Met)
	}
	_ = t.Flush()
}

// sample is repeated measurements of a time.
type sample []time.Duration

// at returns the value that a part (0 to 1) of the sample does not exceed.
func (s sample) at(part float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

func (s sample) median() time.Duration { return s.at(0.5) }

func (s sample) spread() string { return fmt.Sprintf("%s - %s", ms(s.at(0.1)), ms(s.at(0.9))) }

func ms(d time.Duration) string { return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond)) }
