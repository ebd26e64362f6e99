package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func native64(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

// fwknopLatency measures fwknopd: from its client's start to the open door. Its client's own time is told beside it.
func (b *bench) fwknopLatency(ctx context.Context) error {
	defer b.flush(ctx)
	if err := b.iptables(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	files := map[string]string{
		"fwknopd.conf": "PCAP_INTF eth0;\nENABLE_IPT_FORWARDING N;\nFWKNOP_RUN_DIR " + dir + ";\nFIREWALL_EXE /usr/sbin/iptables;\n",
		"access.conf":  "SOURCE ANY\nOPEN_PORTS udp/5000\nKEY benchbenchbench\nHMAC_KEY hmachmachmac\nFW_ACCESS_TIMEOUT 1\n",
		"rc":           "[default]\n[bench]\nSPA_SERVER 10.0.0.1\nACCESS udp/5000\nKEY benchbenchbench\nHMAC_KEY hmachmachmac\nUSE_HMAC Y\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	d, err := b.startReference(ctx, patience, "/usr/sbin/fwknopd", "-f", "-c", filepath.Join(dir, "fwknopd.conf"), "-a", filepath.Join(dir, "access.conf"),
		"-p", filepath.Join(dir, "pid"), "-d", filepath.Join(dir, "digest"))
	if err != nil {
		return err
	}
	defer d.stop()
	time.Sleep(time.Second)
	p, err := b.newProber(true)
	if err != nil {
		return err
	}
	defer p.close()
	var s, client sample
	for range b.times(20) {
		from := p.source()
		took, err := p.untilAnswer(ctx, from, func() error {
			began := time.Now()
			cmd := b.pair.Client.Command(ctx, "fwknop", "--rc-file", filepath.Join(dir, "rc"), "-n", "bench", "-a", from.String(), "--no-save-args")
			out, err := cmd.CombinedOutput()
			client = append(client, time.Since(began))
			if err != nil {
				return fmt.Errorf("fwknop: %w: %s", err, out)
			}
			return nil
		}, 5*time.Second)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, d.out.String())
		}
		s = append(s, took-client[len(client)-1])
	}
	b.add(result{
		Name: "fwknopd 2.6, iptables: packet sent to open, median", Ours: "-", Value: float64(s.median()),
		Reference: fmt.Sprintf("%s (%s - %s), its client takes %s", ms(s.median()), ms(s.at(0.1)), ms(s.at(0.9)), ms(client.median())),
	}, nil)
	return nil
}
