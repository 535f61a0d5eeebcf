package main

import (
	"bytes"
	"os"

	"github.com/tc-hib/winres"
	"github.com/tc-hib/winres/version"
)

// addResources gives a linked program what Windows shows of it: the icon, its version
// and its maker; and the manifest that says what it needs.
func (r *release) addResources(linked, exe, what string) error {
	ico, err := os.Open(r.icon())
	if err != nil {
		return err
	}
	defer ico.Close()
	icon, err := winres.LoadICO(ico)
	if err != nil {
		return err
	}
	var rs winres.ResourceSet
	if err := rs.SetIcon(winres.ID(1), icon); err != nil {
		return err
	}
	rs.SetManifest(winres.AppManifest{
		Description:    what,
		Compatibility:  winres.Win10AndAbove,
		ExecutionLevel: winres.AsInvoker,
		LongPathAware:  true,
	})
	var info version.Info
	info.SetFileVersion(r.number())
	info.SetProductVersion(r.number())
	for key, value := range map[string]string{
		version.ProductName: "Muster", version.CompanyName: "Muster", version.FileDescription: what,
		version.ProductVersion: r.version, version.FileVersion: r.number() + ".0",
	} {
		if err := info.Set(version.LangDefault, key, value); err != nil {
			return err
		}
	}
	rs.SetVersionInfo(info)
	from, err := os.Open(linked)
	if err != nil {
		return err
	}
	defer from.Close()
	var b bytes.Buffer
	if err := rs.WriteToEXE(&b, from); err != nil {
		return err
	}
	return os.WriteFile(exe, b.Bytes(), 0o755)
}
