package builtin

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// certificatesTable is the certificate stores of the computer, which hold what
// group policy adds, and of each user whose registry is loaded. store is the
// name that programs use, such as Root, not its translation; a user's stores
// repeat the computer's, as Windows shows them to the user.
// Anybody may read the computer's. Of users who are not signed in, and of
// Firefox, nothing is seen.
func certificatesTable() facts.Table {
	return facts.Table{
		Name: "certificates", Platforms: onWindows, Source: "certificate stores", Preferred: true,
		Columns: columns(`common_name text, subject text, subject2 text, issuer text, issuer2 text, ca integer,
			self_signed integer, not_valid_before datetime, not_valid_after datetime, signing_algorithm text,
			key_algorithm text, key_strength text, key_usage text, subject_key_id text, authority_key_id text, sha1 text,
			path text, serial text, sid text, store_location text, store text, username text, store_id text`),
		Rows: certificateRows,
	}
}

// certificateStores are the stores that Windows itself has.
var certificateStores = []string{
	"My", "Root", "Trust", "CA", "AuthRoot", "Disallowed", "TrustedPublisher", "TrustedPeople", "TrustedDevices", "SmartCardRoot",
}

func certificateRows(ctx context.Context, q facts.Query, emit emitFunc) error {
	wanted := func(column, value string) bool {
		want, ok := q.Equals(column)
		return !ok || want == value
	}
	const localMachine, users = 2 << 16, 6 << 16 // CERT_SYSTEM_STORE_…
	for _, store := range certificateStores {
		if !wanted("store", store) || !wanted("store_location", "LocalMachine") {
			continue
		}
		err := eachCertificate(ctx, localMachine, store, func(row muster.Row) error {
			row["store_location"], row["store"], row["path"] = "LocalMachine", store, `LocalMachine\`+store
			return emit(row)
		})
		if err != nil {
			return err
		}
	}
	if !wanted("store_location", "Users") {
		return ctx.Err()
	}
	sids, err := regSubkeys("HKEY_USERS")
	if err != nil {
		return err
	}
	for _, sid := range sids {
		if strings.HasSuffix(sid, "_Classes") || strings.HasPrefix(sid, ".") || !wanted("sid", sid) {
			continue // .DEFAULT is S-1-5-18
		}
		username := hiveUser(`HKEY_USERS\` + sid)
		for _, store := range certificateStores {
			if !wanted("store", store) {
				continue
			}
			err := eachCertificate(ctx, users, sid+`\`+store, func(row muster.Row) error {
				row["store_location"], row["store"], row["path"] = "Users", store, `Users\`+sid+`\`+store
				row["sid"], row["store_id"], row["username"] = sid, sid, username
				return emit(row)
			})
			if err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// eachCertificate calls use for every certificate of a store; there are none
// where the store is not there.
func eachCertificate(ctx context.Context, location uint32, store string, use func(muster.Row) error) error {
	name, err := windows.UTF16PtrFromString(store)
	if err != nil {
		return err
	}
	handle, err := windows.CertOpenStore(windows.CERT_STORE_PROV_SYSTEM, 0, 0,
		location|windows.CERT_STORE_READONLY_FLAG|windows.CERT_STORE_OPEN_EXISTING_FLAG, uintptr(unsafe.Pointer(name)))
	switch {
	case errors.Is(err, windows.ERROR_FILE_NOT_FOUND):
		return nil
	case errors.Is(err, syscall.EINVAL): // no reason given: Wine has none for users
		return failed("open the certificate store "+store, windows.ERROR_CALL_NOT_IMPLEMENTED)
	case err != nil:
		return failed("open the certificate store "+store, err)
	}
	defer windows.CertCloseStore(handle, 0)
	var c *windows.CertContext
	for {
		// The call frees the context before.
		c, err = windows.CertEnumCertificatesInStore(handle, c)
		switch {
		case errors.Is(err, syscall.Errno(windows.CRYPT_E_NOT_FOUND)), errors.Is(err, windows.ERROR_NO_MORE_FILES):
			return nil
		case err != nil:
			return failed("list the certificate store "+store, err)
		}
		err = use(winCertificate(unsafe.Slice(c.EncodedCert, c.Length)))
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = windows.CertFreeCertificateContext(c)
			return err
		}
	}
}
