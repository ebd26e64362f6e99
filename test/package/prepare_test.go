package packages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// repository is the root of the sources, as go test sees it.
const repository = "../.."

// prepare makes a copy of the sources, which nobody changes meanwhile, and of it the packages; at the same time the
// Debian root.
func prepare(dir string) error {
	source := filepath.Join(dir, "source")
	if err := copyTree(repository, source); err != nil {
		return err
	}
	built := make(chan error, 1)
	go func() { built <- pack(source, filepath.Join(dir, "dist"), others...) }()
	err := debian(filepath.Join(dir, "root"))
	return errors.Join(err, <-built)
}

// copyTree copies sources, without what was built.
func copyTree(from, to string) error {
	return run(from, nil, "sh", "-c", `mkdir "$1" && tar -cf - --exclude=./dist --exclude=./bin . | tar -xof - --no-same-permissions -C "$1"`, "sh", to)
}

// others are built beside the packages for this machine: one more word size, and the client elsewhere.
var others = []string{"ARCHES=" + hostArch + " mipsle", "CLIENTS=windows/amd64 darwin/arm64 freebsd/amd64"}

// pack runs scripts/package in a source tree.
func pack(tree, out string, env ...string) error {
	return run(tree, env, "scripts/package", out)
}

// inRoot are Debian's packages in the root. knockd's own is beside them, as a file: the tests install it over and under
// ours.
const inRoot = "openssh-server,openssh-client,iproute2,procps,nftables,iptables,libpcap0.8,logrotate,fail2ban," +
	"lintian,mandoc,shellcheck,zsh,fish,systemd,rpm,busybox-static,patch"

// debian makes the root, or links to the one that KNOCKD_TEST_ROOT names.
func debian(root string) error {
	if made := os.Getenv("KNOCKD_TEST_ROOT"); made != "" {
		return os.Symlink(made, root)
	}
	args := []string{
		"--mode=root", "--variant=minbase", "--include=" + inRoot, "--dpkgopt=force-unsafe-io",
		`--aptopt=Apt::Install-Recommends "false"`, "--aptopt=Acquire::Retries \"5\"", "--skip=cleanup/apt/cache",
		`--customize-hook=cd "$1/root" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download -q knockd`,
	}
	for _, proxy := range []string{"Acquire::http::Proxy", "Acquire::https::Proxy"} {
		if value := aptConfig(proxy); value != "" {
			args = append(args, fmt.Sprintf("--aptopt=%s %q", proxy, value))
		}
	}
	return run(".", nil, "mmdebstrap", append(args, "bookworm", root, mirror())...)
}

func aptConfig(name string) string {
	out, err := exec.Command("apt-config", "shell", "VALUE", name).Output()
	if err != nil {
		return ""
	}
	_, value, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	return strings.Trim(value, "'")
}

// mirror is the mirror of Debian that this machine uses, or everybody's.
func mirror() string {
	uri := regexp.MustCompile(`(?m)^(?:URIs:|deb)\s.*?((?:https?|file)://\S+/debian)/?(?:\s|$)`)
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, file := range append(files, "/etc/apt/sources.list") {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if found := uri.FindSubmatch(text); found != nil {
			return string(found[1])
		}
	}
	return "http://deb.debian.org/debian"
}

// run runs a program with a time limit; an error has its output.
func run(dir string, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), 5*time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// hostArch is this machine's architecture, in Go's words and Debian's.
const hostArch = runtime.GOARCH
