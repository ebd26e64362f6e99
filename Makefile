# Few targets; each says what it is for with `make help`.
GO      ?= go
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION ?= $(shell cat VERSION)
LDFLAGS := -s -w -X knockd/internal/version.Version=$(VERSION)
TOOL    := $(GO) tool -modfile=tools/go.mod

export CGO_ENABLED = 0

.PHONY: help build demo test race lint fuzz install clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## bin/knockd and bin/knock
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/knockd ./cmd/knock

demo: build ## a whole knock in network namespaces of its own, no root needed
	bin/knockd demo

test: build ## every test, in network namespaces of their own
	scripts/test-deps
	$(GO) test -timeout 5m ./...

race: ## the same with the race detector (needs a C compiler)
	scripts/test-deps
	CGO_ENABLED=1 $(GO) test -race -short -timeout 8m ./...

lint: ## go vet, staticcheck (all checks), gofumpt
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@out=$$($(TOOL) gofumpt -l cmd internal test); if [ -n "$$out" ]; then echo "gofumpt -w:" $$out; exit 1; fi

install: build ## to $(DESTDIR)$(PREFIX)
	install -D -m 0755 bin/knockd $(DESTDIR)$(PREFIX)/sbin/knockd
	install -D -m 0755 bin/knock $(DESTDIR)$(PREFIX)/bin/knock

clean: ## what was built
	rm -rf bin dist
