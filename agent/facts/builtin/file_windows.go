package builtin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// filesTable is what the file system says of paths; path or directory must be
// given. A link shows its target's values. Every ordinary file is "regular",
// where osquery calls one without the archive attribute "disk", so that no
// file slips through a search for regular ones. Shortcuts are not opened:
// their columns are "".
func filesTable() facts.Table {
	return facts.Table{
		Name: "file", Platforms: onWindows, Source: "files", Preferred: true,
		Columns: columns(`path text required, directory text required, filename text, inode bigint, uid bigint, gid bigint,
			mode text, device bigint, size bigint, block_size integer, atime bigint, mtime bigint, ctime bigint,
			btime bigint, hard_links integer, symlink integer, type text, symlink_target_path text, attributes text,
			volume_serial text, file_id text, file_version text, product_version text, original_filename text,
			shortcut_target_path text, shortcut_target_type text, shortcut_target_location text,
			shortcut_start_in text, shortcut_run text, shortcut_comment text`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			return host{}.eachPath(ctx, q, func(f found) error {
				row, err := fileRow(f, q)
				if row == nil || err != nil {
					return err
				}
				return emit(row)
			})
		},
	}
}

// fileRow is nil where there is nothing at the path.
func fileRow(f found, q facts.Query) (muster.Row, error) {
	path, err := windows.UTF16PtrFromString(f.path)
	if err != nil {
		return nil, nil // no file has such a name
	}
	handle, err := windows.CreateFile(path, windows.FILE_READ_ATTRIBUTES|windows.READ_CONTROL,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	switch {
	case isNoFile(err):
		return nil, nil
	case err != nil:
		return nil, failed("open "+f.path, err)
	}
	defer windows.CloseHandle(handle)
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		return nil, failed("read the attributes of "+f.path, err)
	}
	index := uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
	row := muster.Row{
		"path": f.path, "directory": f.directory, "filename": filepath.Base(f.path), "mode": "-1", "block_size": "-1", "symlink": "0",
		"inode": unum(index), "file_id": fmt.Sprintf("0x%016x", index), "device": unum(info.VolumeSerialNumber),
		"volume_serial": fmt.Sprintf("%04x-%04x", info.VolumeSerialNumber>>16, info.VolumeSerialNumber&0xffff),
		"size":          unum(uint64(info.FileSizeHigh)<<32 | uint64(info.FileSizeLow)), "hard_links": unum(info.NumberOfLinks),
		"atime": num(unixTime(info.LastAccessTime)), "mtime": num(unixTime(info.LastWriteTime)), "btime": num(unixTime(info.CreationTime)),
		"ctime": "-1", "type": "regular", "attributes": fileAttributes(info.FileAttributes), "uid": "-1", "gid": "-1",
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		row["type"] = "directory"
	}
	if attributes, err := windows.GetFileAttributes(path); err == nil && attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		row["symlink"] = "1"
	}
	// FILE_BASIC_INFO, which has the time of change.
	var basic struct {
		created, accessed, written, changed int64
		attributes                          uint32
	}
	if windows.GetFileInformationByHandleEx(handle, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic))) == nil {
		row["ctime"] = num(filetimeUnix(basic.changed))
	}
	if usesAny(q, "uid", "gid") {
		addFileOwner(handle, row)
	}
	if row["type"] == "regular" && usesAny(q, "file_version", "product_version", "original_filename") {
		addFileVersion(f.path, row)
	}
	return row, nil
}

// isNoFile reports whether the error means that there is nothing at the path.
func isNoFile(err error) bool {
	for _, gone := range []error{
		windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND, windows.ERROR_INVALID_NAME, windows.ERROR_BAD_PATHNAME,
		windows.ERROR_NOT_READY, windows.ERROR_DIRECTORY, windows.ERROR_INVALID_DRIVE, windows.ERROR_BAD_NETPATH,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

func addFileOwner(handle windows.Handle, row muster.Row) {
	sd, err := windows.GetSecurityInfo(handle, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.GROUP_SECURITY_INFORMATION)
	if err != nil {
		return
	}
	if owner, _, err := sd.Owner(); err == nil && owner != nil {
		row["uid"] = unum(rid(owner))
	}
	if group, _, err := sd.Group(); err == nil && group != nil {
		row["gid"] = unum(rid(group))
	}
}

// fileAttributes writes attributes as letters in osquery's order.
func fileAttributes(a uint32) string {
	var s strings.Builder
	for _, x := range []struct {
		bit    uint32
		letter byte
	}{
		{windows.FILE_ATTRIBUTE_ARCHIVE, 'A'}, {windows.FILE_ATTRIBUTE_COMPRESSED, 'C'}, {windows.FILE_ATTRIBUTE_ENCRYPTED, 'E'},
		{windows.FILE_ATTRIBUTE_REPARSE_POINT, 'L'}, {windows.FILE_ATTRIBUTE_HIDDEN, 'H'}, {windows.FILE_ATTRIBUTE_INTEGRITY_STREAM, 'V'},
		{windows.FILE_ATTRIBUTE_NORMAL, 'N'}, {windows.FILE_ATTRIBUTE_NOT_CONTENT_INDEXED, 'I'}, {windows.FILE_ATTRIBUTE_NO_SCRUB_DATA, 'X'},
		{windows.FILE_ATTRIBUTE_OFFLINE, 'O'}, {windows.FILE_ATTRIBUTE_READONLY, 'R'}, {windows.FILE_ATTRIBUTE_SYSTEM, 'S'},
		{windows.FILE_ATTRIBUTE_TEMPORARY, 'T'},
	} {
		if a&x.bit != 0 {
			s.WriteByte(x.letter)
		}
	}
	return s.String()
}

// addFileVersion reads the version resource of a program; most files have none.
func addFileVersion(path string, row muster.Row) {
	var zero windows.Handle
	size, err := windows.GetFileVersionInfoSize(path, &zero)
	if err != nil || size == 0 {
		return
	}
	block := make([]byte, size)
	if windows.GetFileVersionInfo(path, 0, size, unsafe.Pointer(&block[0])) != nil {
		return
	}
	var n uint32
	var fixed *windows.VS_FIXEDFILEINFO
	if windows.VerQueryValue(unsafe.Pointer(&block[0]), `\`, unsafe.Pointer(&fixed), &n) == nil && fixed != nil {
		dotted := func(high, low uint32) string {
			return fmt.Sprintf("%d.%d.%d.%d", high>>16, high&0xffff, low>>16, low&0xffff)
		}
		row["file_version"] = dotted(fixed.FileVersionMS, fixed.FileVersionLS)
		row["product_version"] = dotted(fixed.ProductVersionMS, fixed.ProductVersionLS)
	}
	var language *[2]uint16
	if windows.VerQueryValue(unsafe.Pointer(&block[0]), `\VarFileInfo\Translation`, unsafe.Pointer(&language), &n) != nil || n < 4 {
		return
	}
	var name *uint16
	item := fmt.Sprintf(`\StringFileInfo\%04x%04x\OriginalFilename`, language[0], language[1])
	if windows.VerQueryValue(unsafe.Pointer(&block[0]), item, unsafe.Pointer(&name), &n) == nil && n > 0 {
		row["original_filename"] = wide(name)
	}
}
