package state

import "os"

var machineNames = []func() (kind, name string){
	fileNames("uuid", "/sys/class/dmi/id/product_uuid"),
	fileNames("board", "/sys/class/dmi/id/board_serial"),
	fileNames("system", "/etc/machine-id"),
}

func fileNames(kind, path string) func() (string, string) {
	return func() (string, string) {
		b, err := os.ReadFile(path)
		if err != nil {
			return kind, ""
		}
		return kind, string(b)
	}
}
