package demo

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"sync"

	"knockd/internal/netlab"
)

// banner is what the service greets with.
const banner = "hello from the hidden service"

// service greets whoever connects, then repeats each line.
type service struct {
	listener *net.TCPListener
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func startService(n *netlab.Namespace, at netip.AddrPort) (*service, error) {
	l, err := n.ListenTCP(at)
	if err != nil {
		return nil, err
	}
	s := &service{listener: l}
	s.running.Go(s.accept)
	return s, nil
}

func (s *service) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.running.Go(func() { serve(c) })
	}
}

// serve goes on until the connection ends.
func serve(c net.Conn) {
	_, err := io.WriteString(c, banner+"\n")
	for in := bufio.NewScanner(c); err == nil && in.Scan(); {
		_, err = io.WriteString(c, in.Text()+"\n")
	}
}

// close ends the service and every connection.
func (s *service) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}
