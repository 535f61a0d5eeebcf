package builtin

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// homes are the home folders of the accounts, each once, and whatever else lies
// in /home, for /etc/passwd does not know the people of a directory service.
// Their homes may be one folder deeper, in one that is root's.
func (h host) homes() ([]home, error) {
	accounts, err := h.accounts()
	if err != nil {
		return nil, err
	}
	var all []home
	seen := map[string]bool{}
	add := func(o home) {
		if !seen[o.path] && filepath.IsAbs(o.path) {
			seen[o.path] = true
			all = append(all, o)
		}
	}
	for _, a := range accounts {
		add(home{uid: a.uid, path: a.home})
	}
	more, err := h.homeFolders("/home")
	for i := 0; i < len(more) && err == nil; i++ {
		owner := ""
		if st, err := os.Stat(h.path(more[i])); err == nil {
			owner = strconv.FormatUint(uint64(st.Sys().(*syscall.Stat_t).Uid), 10)
		}
		if owner == "0" && filepath.Dir(more[i]) == "/home" && !seen[more[i]] {
			var below []string
			below, err = h.homeFolders(more[i])
			more = append(more, below...)
		}
		add(home{uid: owner, path: more[i]})
	}
	return all, err
}
