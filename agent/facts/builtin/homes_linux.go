package builtin

import "path/filepath"

// homes are the home folders of the accounts, each once.
func (h host) homes() ([]home, error) {
	accounts, err := h.accounts()
	if err != nil {
		return nil, err
	}
	var all []home
	seen := map[string]bool{}
	for _, a := range accounts {
		if !seen[a.home] && filepath.IsAbs(a.home) {
			seen[a.home] = true
			all = append(all, home{uid: a.uid, path: a.home})
		}
	}
	return all, nil
}
