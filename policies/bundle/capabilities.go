package bundle

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Capabilities is what Rego in a bundle may call: the builtins of this OPA but
// those whose answer depends on anything outside input and data (network,
// clock, environment, chance), those that parse or sign on the side, and
// bits.lsh, which makes a number that fills the memory in one step.
func Capabilities() *ast.Capabilities {
	// By prefix, beside what OPA itself marks as nondeterministic.
	refused := []string{
		"bits.lsh", "http.", "net.lookup", "opa.", "rand.", "uuid.", "time.now", "trace", "io.jwt",
		"crypto.x509.parse_and_verify", "providers.", "rego.parse", "graphql.", "json.match_schema", "json.verify_schema",
	}
	caps := ast.CapabilitiesForThisVersion()
	caps.AllowNet = []string{}
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		return b.Nondeterministic || slices.ContainsFunc(refused, func(p string) bool { return strings.HasPrefix(b.Name, p) })
	})
	return caps
}
