#!/bin/sh
# Compiles knock.c for both byte orders, into the directory given. The generator is pinned in tools/go.mod, the compiler
# by its name: another version of it makes another object.
set -eu
exec env GOPACKAGE=bpf go tool -modfile=../../../tools/go.mod bpf2go -cc clang-14 -strip llvm-strip-14 \
	-target bpfel,bpfeb -output-dir "$1" -output-stem knock \
	-no-global-types -type door -type destination -type setting -type tally \
	Knock knock.c -- -O2 -mcpu=v2 -fno-ident -Wall -Wextra -Werror
