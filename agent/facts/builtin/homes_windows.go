package builtin

import "golang.org/x/sys/windows"

// homes are the profiles of everyone who signed in here, also of a domain's
// users.
func (host) homes() ([]home, error) {
	sids, err := regSubkeys(profileList)
	if err != nil {
		return nil, err
	}
	var all []home
	for _, s := range sids {
		sid, err := windows.StringToSid(s)
		if err != nil {
			continue
		}
		profile, err := regValues(profileList + `\` + s)
		if err != nil {
			return nil, err
		}
		if path := expandEnv(profile["profileimagepath"]); path != "" {
			all = append(all, home{uid: unum(rid(sid)), path: path})
		}
	}
	return all, nil
}
