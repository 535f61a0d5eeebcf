package trial

import "testing"

// Both rpm from installation to removal, on a Debian: the database of rpm is a new one,
// and what they depend on is not looked for.
func TestRPM(t *testing.T) { lifecycle(t, "rpm", 25) }
