package daemon

import (
	"context"
	"fmt"
	"strings"

	"knockd/internal/firewall"
)

// Guard hides what the configuration hides, without a daemon, and returns it for a person to read. The daemon that
// starts later takes over.
func Guard(ctx context.Context, path string) (string, error) {
	conf, err := loadConfirmed(path)
	if err != nil {
		return "", err
	}
	rules := conf.rules()
	rules.Fresh = firstStartOfBoot(runtimeDir)
	if len(rules.Doors) == 0 {
		return "", nil
	}
	fw, err := firewall.NewKernel()
	if err != nil {
		return "", fmt.Errorf("opening the firewall: %w", err)
	}
	defer func() { _ = fw.Close() }()
	if err := fw.Install(ctx, rules, nil); err != nil {
		return "", fmt.Errorf("hiding the native doors' ports: %w", err)
	}
	var hidden []string
	for _, d := range rules.Doors {
		for _, r := range d.Ports {
			hidden = append(hidden, r.String())
		}
	}
	return strings.Join(hidden, ", "), nil
}
