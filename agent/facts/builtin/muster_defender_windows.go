package builtin

import (
	"context"
	"strconv"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// defenderTable is the state of Microsoft Defender by its own word, which
// Windows Server has too. Ages are days, times seconds since 1970; what
// Defender does not know, such as the age of signatures it never had, is "".
// Anybody may ask. It is Defender's own word: other products are
// windows_security_products.
func defenderTable() facts.Table {
	return facts.Table{
		Name: "muster_defender", Platforms: onWindows, Source: "WMI MSFT_MpComputerStatus",
		Columns: columns(`real_time integer, tamper_protected integer, signature_age_days integer, signatures_updated bigint,
			product_version text`),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			const wql = "SELECT * FROM MSFT_MpComputerStatus"
			return wmiQuery(ctx, `root\Microsoft\Windows\Defender`, wql, func(o comObject) (muster.Row, error) {
				v, err := o.texts("RealTimeProtectionEnabled", "AntivirusSignatureAge", "AntivirusSignatureLastUpdated", "AMProductVersion")
				if err != nil {
					return nil, err
				}
				// Older versions do not tell.
				tamper, _ := o.get("IsTamperProtected")
				return muster.Row{
					"real_time": v[0], "tamper_protected": tamper, "signature_age_days": signatureAge(v[1]),
					"signatures_updated": cimUnix(v[2]), "product_version": v[3],
				}, nil
			})
		}),
	}
}

// signatureAge leaves out 65535 and 4294967295 (which COM gives as -1), by
// which Defender says never.
func signatureAge(days string) string {
	if n, err := strconv.Atoi(days); err != nil || n < 0 || n >= 65535 {
		return ""
	}
	return days
}
