// Package bpf holds the program of the eBPF backend: its source in C, and the object that is made of it.
//
// What belongs here is what runs in the kernel. Package capture fills its maps and reads its ring.
package bpf

//go:generate sh generate.sh .
