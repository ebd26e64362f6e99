// Package bpf holds the program of the eBPF backend: its source in C, and the object that is made of it.
//
// What belongs here is what runs in the kernel. Package capture fills its maps and reads its ring.
package bpf

//go:generate go tool -modfile=../../../tools/go.mod bpf2go -cc clang-14 -strip llvm-strip-14 -no-global-types -type door -type destination -type setting -target bpfel,bpfeb -output-stem knock Knock knock.c -- -O2 -mcpu=v2 -Wall -Wextra -Werror -fno-ident
