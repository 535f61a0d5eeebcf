package builtin

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/passmuster/muster/agent/facts"
)

// maxPackageList bounds one list of packages, unpacked. Debian's largest has 60 MB.
const maxPackageList = 512 << 20

// packageList visits the packages of a list of apt, which may be packed by gzip
// or bzip2. Packed otherwise it is facts.ErrUnavailable.
func (h host) packageList(ctx context.Context, path string, visit func(name, arch, version string)) error {
	f, err := openFile(h.path(path))
	if err != nil {
		return readError(path, err)
	}
	defer f.Close()
	var r io.Reader = contextReader{ctx, f}
	switch _, ext, _ := strings.Cut(path, "_Packages"); ext {
	case "":
	case ".bz2":
		r = bzip2.NewReader(r)
	case ".gz":
		if r, err = gzip.NewReader(r); err != nil {
			return fmt.Errorf("unpack %s: %w", path, err)
		}
	default:
		return fmt.Errorf("%s is packed as %s; set Acquire::GzipIndexes to false and run apt update: %w", path, ext,
			facts.ErrUnavailable)
	}
	bounded := &io.LimitedReader{R: r, N: maxPackageList}
	if err := scanPackages(bounded, visit); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if bounded.N <= 0 {
		return fmt.Errorf("read %s: larger than %d bytes", path, maxPackageList)
	}
	return nil
}

// scanPackages reads paragraphs of "Key: value" and visits each that has a name
// and a version.
func scanPackages(r io.Reader, visit func(name, arch, version string)) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	var name, arch, version string
	end := func() {
		if name != "" && version != "" {
			visit(name, arch, version)
		}
		name, arch, version = "", "", ""
	}
	whole := true // the line begins here, it is not the rest of a long one
	for {
		line, err := lines.ReadSlice('\n')
		if whole {
			switch {
			case len(bytes.TrimSpace(line)) == 0:
				end()
			case bytes.HasPrefix(line, []byte("Package:")):
				name = string(bytes.TrimSpace(line[8:]))
			case bytes.HasPrefix(line, []byte("Version:")):
				version = string(bytes.TrimSpace(line[8:]))
			case bytes.HasPrefix(line, []byte("Architecture:")):
				arch = string(bytes.TrimSpace(line[13:]))
			}
		}
		switch whole = err != bufio.ErrBufferFull; {
		case err == io.EOF:
			end()
			return nil
		case err != nil && whole:
			return err
		}
	}
}
