package builtin

import (
	"testing"

	"github.com/passmuster/muster"
)

func TestConnectivityRow(t *testing.T) {
	for bits, want := range map[uint32]muster.Row{
		0:                   {"disconnected": "1", "ipv4_internet": "0", "ipv6_no_traffic": "0"},
		0x40 | 0x2:          {"disconnected": "0", "ipv4_internet": "1", "ipv6_no_traffic": "1", "ipv4_subnet": "0"},
		0x20 | 0x200 | 0x10: {"ipv4_local_network": "1", "ipv6_local_network": "1", "ipv4_subnet": "1", "ipv4_internet": "0"},
	} {
		got := connectivityRow(bits)
		for column, value := range want {
			if got[column] != value {
				t.Errorf("%#x: %s is %q", bits, column, got[column])
			}
		}
		if len(got) != 9 {
			t.Errorf("%d columns", len(got))
		}
	}
}

func TestWordsOfNumbers(t *testing.T) {
	for got, want := range map[string]string{
		dnsType(1): "A", dnsType(28): "AAAA", dnsType(255): "*", dnsType(999): "999",
		updateOperation(1): "Installation", updateResult(2): "Succeeded", updateServer(3): "Others", updateResult(5): "Aborted",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, got := range []string{updateOperation(0), updateOperation(3), updateResult(-1), updateServer(4)} {
		if got != "" {
			t.Errorf("a number without a word is %q", got)
		}
	}
}
