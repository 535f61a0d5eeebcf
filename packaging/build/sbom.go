package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// inside gives the programs in an artefact, and for which system they are. It goes by
// the names that the makers give.
func inside(artefact string) (goos string, programs []string) {
	switch {
	case strings.HasSuffix(artefact, ".msi"):
		return "windows", []string{"muster", "muster-uplink"}
	case strings.HasPrefix(artefact, "muster-collector"):
		return "linux", []string{"muster-collector"}
	}
	return "linux", []string{"muster", "muster-uplink"}
}

// packed is the path of a program as it is in the packages.
func (r *release) packed(program, goos string) string {
	if goos == "windows" {
		return filepath.Join(r.out, ".windows", program+".exe")
	}
	return filepath.Join(r.out, ".programs", goos+"-amd64", program)
}

// sbom writes, in CycloneDX 1.6, what is in an artefact: its programs, and what the
// linker took into each, which the programs themselves tell. It gives the path.
func (r *release) sbom(artefact string, licences []terms) (string, error) {
	name := filepath.Base(artefact)
	goos, programs := inside(name)
	content, err := os.ReadFile(artefact)
	if err != nil {
		return "", err
	}
	bom, err := r.bom(name, sha256.Sum256(content), goos, programs, licences)
	if err != nil {
		return "", fmt.Errorf("list what is in %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return "", fmt.Errorf("write the list of %s: %w", name, err)
	}
	return artefact + ".cdx.json", os.WriteFile(artefact+".cdx.json", b.Bytes(), 0o644)
}

func (r *release) bom(name string, digest [32]byte, goos string, programs []string, licences []terms) (*cdx.BOM, error) {
	whole := cdx.Component{
		BOMRef: name, Type: cdx.ComponentTypeApplication, Name: name, Version: r.version,
		Supplier: &cdx.OrganizationalEntity{Name: "Muster", URL: &[]string{"https://github.com/passmuster/muster"}},
		Hashes:   sha256Of(digest[:]), Licenses: under("Apache-2.0"),
	}
	var parts []cdx.Component
	used := map[string]bool{}
	needs := []cdx.Dependency{{Ref: name, Dependencies: &programs}}
	add := func(program *[]string, c cdx.Component) {
		*program = append(*program, c.BOMRef)
		if !used[c.BOMRef] {
			used[c.BOMRef] = true
			parts = append(parts, c)
		}
	}
	for _, program := range programs {
		content, err := os.ReadFile(r.packed(program, goos))
		if err != nil {
			return nil, err
		}
		info, err := buildinfo.Read(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", program, err)
		}
		digest := sha256.Sum256(content)
		parts = append(parts, cdx.Component{
			BOMRef: program, Type: cdx.ComponentTypeApplication, Name: program, Version: r.version,
			Hashes: sha256Of(digest[:]), Licenses: under("Apache-2.0"),
			Properties: &[]cdx.Property{{Name: "go:version", Value: info.GoVersion}, {Name: "go:os", Value: goos}},
		})
		std := strings.TrimPrefix(info.GoVersion, "go")
		var below []string
		for _, m := range append([]*debug.Module{{Path: "std", Version: std}}, info.Deps...) {
			if m.Replace != nil {
				m = m.Replace
			}
			i := slices.IndexFunc(licences, func(t terms) bool { return t.module == m.Path && t.version == m.Version })
			if i < 0 {
				return nil, fmt.Errorf("%s has module %s %s in it, which go list does not know of", program, m.Path, m.Version)
			}
			c := library(m, licences[i].ids)
			if m.Path == "std" {
				c.CPE = "cpe:2.3:a:golang:go:" + std + ":*:*:*:*:*:*:*"
			}
			add(&below, c)
		}
		for _, d := range data {
			if slices.Contains(d.programs, program) {
				add(&below, cdx.Component{BOMRef: d.purl, Type: cdx.ComponentTypeData, Name: d.name, Version: d.version, PackageURL: d.purl, Licenses: under(d.id)})
			}
		}
		needs = append(needs, cdx.Dependency{Ref: program, Dependencies: &below})
	}
	if strings.HasSuffix(name, "-image.tar") {
		whole.Type = cdx.ComponentTypeContainer
		roots, err := own(authoritiesFrom)
		if err != nil {
			return nil, err
		}
		c := library(roots, []string{"MPL-2.0"})
		c.Type, c.Description = cdx.ComponentTypeData, "Certificates that Mozilla trusts, in /etc/ssl/certs"
		all := slices.Clone(programs)
		add(&all, c)
		needs[0].Dependencies = &all
	}
	slices.SortStableFunc(parts, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + strings.ToLower(strings.Trim(guid(digest[:]), "{}"))
	bom.Metadata = &cdx.Metadata{Timestamp: r.time.Format(time.RFC3339), Component: &whole}
	bom.Components, bom.Dependencies = &parts, &needs
	return bom, nil
}

// library is a module of Go. What go.sum has of it is no hash of one file, so it is a
// property.
func library(m *debug.Module, ids []string) cdx.Component {
	purl := "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(url.PathEscape(m.Version), "+", "%2B")
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl, Licenses: under(ids...)}
	if m.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}

// own is a module that this program was built from.
func own(path string) (*debug.Module, error) {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path {
			return m, nil
		}
	}
	return nil, fmt.Errorf("module %s is not in this program", path)
}

func under(ids ...string) *cdx.Licenses {
	if len(ids) == 1 {
		return &cdx.Licenses{{License: &cdx.License{ID: ids[0]}}}
	}
	return &cdx.Licenses{{Expression: strings.Join(ids, " AND ")}}
}

func sha256Of(digest []byte) *[]cdx.Hash {
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(digest)}}
}
