package builtin

// osquery's words for the numbers of Windows Update's history.

func updateOperation(n int64) string {
	return nth([]string{"", "Installation", "Uninstallation"}, n)
}

func updateResult(n int64) string {
	return nth([]string{"NotStarted", "InProgress", "Succeeded", "SucceededWithErrors", "Failed", "Aborted"}, n)
}

func updateServer(n int64) string {
	return nth([]string{"Default", "ManagedServer", "WindowsUpdate", "Others"}, n)
}

// nth is the word at n, or "" where there is none.
func nth(words []string, n int64) string {
	if n < 0 || n >= int64(len(words)) {
		return ""
	}
	return words[n]
}
