# Few targets; each says what it is for with `make help`.
GO      ?= go
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION ?= $(shell cat VERSION)
LDFLAGS := -s -w -X knockd/internal/version.Version=$(VERSION)
SHARE   := $(DESTDIR)$(PREFIX)/share
# Packages and units say /usr; what is installed elsewhere is told so.
HERE    := sed s,/usr/sbin/,$(PREFIX)/sbin/,g
TOOL    := $(GO) tool -modfile=tools/go.mod

export CGO_ENABLED = 0

.PHONY: help build demo test race lint bench soak fuzz install package clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## bin/knockd and bin/knock
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/knockd ./cmd/knock

demo: build ## a whole knock in network namespaces of its own, no root needed
	bin/knockd demo

test: build ## every test, in network namespaces of their own
	scripts/test-deps
	$(GO) test -timeout 10m ./...

race: ## the same with the race detector (needs a C compiler)
	scripts/test-deps
	CGO_ENABLED=1 $(GO) test -race -short -timeout 8m ./...

fuzz: ## a few seconds of fuzzing for each of what reads from outside, and for the engine
	for target in ./internal/config:FuzzParse ./internal/packet:FuzzParse ./internal/knock:FuzzAgainstTheOracle; do \
		$(GO) test -run '^$$' -fuzz "^$${target#*:}$$" -fuzztime $${FUZZTIME:-4s} -fuzzminimizetime 5x $${target%:*} || exit 1; \
	done

lint: ## go vet, staticcheck (all checks), gofumpt
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@out=$$($(TOOL) gofumpt -l bench cmd internal test); if [ -n "$$out" ]; then echo "gofumpt -w:" $$out; exit 1; fi

install: build ## programs, manuals, units, completions: to $(DESTDIR)$(PREFIX)
	install -D -m 0755 bin/knockd $(DESTDIR)$(PREFIX)/sbin/knockd
	install -D -m 0755 bin/knock $(DESTDIR)$(PREFIX)/bin/knock
	install -D -m 0644 docs/man/knockd.8 $(SHARE)/man/man8/knockd.8
	install -D -m 0644 docs/man/knock.1 $(SHARE)/man/man1/knock.1
	install -D -m 0644 docs/man/knockd.conf.5 $(SHARE)/man/man5/knockd.conf.5
	for unit in knockd knockd-native knockd-guard; do \
		$(HERE) packaging/systemd/$$unit.service | \
			install -D -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service || exit 1; \
	done
	$(HERE) packaging/openrc | install -D -m 0755 /dev/stdin $(SHARE)/doc/knockd/examples/openrc
	install -D -m 0644 packaging/fail2ban.conf $(SHARE)/doc/knockd/examples/fail2ban.conf
	install -D -m 0644 packaging/completion/knockd.bash $(SHARE)/bash-completion/completions/knockd
	ln -sf knockd $(SHARE)/bash-completion/completions/knock
	install -D -m 0644 packaging/completion/_knockd $(SHARE)/zsh/site-functions/_knockd
	install -D -m 0644 packaging/completion/knockd.fish $(SHARE)/fish/vendor_completions.d/knockd.fish
	install -D -m 0644 packaging/completion/knock.fish $(SHARE)/fish/vendor_completions.d/knock.fish
	[ -e $(DESTDIR)/etc/default/knockd ] || install -D -m 0644 packaging/default $(DESTDIR)/etc/default/knockd
	[ -e $(DESTDIR)/etc/logrotate.d/knockd ] || install -D -m 0644 packaging/logrotate $(DESTDIR)/etc/logrotate.d/knockd

bench: build ## measured beside knockd 0.8 and fwknopd, as a table and in bench.json
	scripts/test-deps bench
	$(GO) run ./bench -json bench.json

soak: ## the fault harness for 20 minutes, or as long as KNOCKD_SOAK says
	KNOCKD_SOAK=$${KNOCKD_SOAK:-20m} $(GO) test -timeout 0 -count 1 -v ./test/fault ./test/steady ./test/hostile

package: ## dist: Debian and RPM packages, tarballs, the client for other systems
	scripts/package dist

clean: ## what was built
	rm -rf bin dist
