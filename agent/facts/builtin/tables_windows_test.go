package builtin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

func mustGather(t *testing.T, table facts.Table, constraints ...facts.Constraint) []muster.Row {
	t.Helper()
	rows, err := gather(t, table, constraints...)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// columnsOf gathers a table as a statement does that reads only some columns.
func columnsOf(t *testing.T, table facts.Table, columns string, constraints ...facts.Constraint) (rows []muster.Row) {
	t.Helper()
	used := strings.Fields(columns)
	q := facts.Query{Constraints: constraints, Used: func(c string) bool { return slices.Contains(used, c) }}
	must(t, table.Rows(t.Context(), q, func(r muster.Row) error {
		rows = append(rows, r)
		return nil
	}))
	return rows
}

// find is the row whose column has the value, in either case.
func find(t *testing.T, rows []muster.Row, column, value string) muster.Row {
	t.Helper()
	for _, r := range rows {
		if strings.EqualFold(r[column], value) {
			return r
		}
	}
	t.Fatalf("no row with %s %q among %d", column, value, len(rows))
	return nil
}

// wantUnavailable checks the error of a facility that this system may lack (Wine
// lacks several): it is there, or the table says honestly that it is not.
func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, facts.ErrUnavailable) {
		t.Fatalf("got %v, want facts.ErrUnavailable", err)
	}
}

// mySID is the SID of the user who runs the tests.
func mySID(t *testing.T) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return me.Uid
}

// myKey makes a key below the user's own Software key and gives its path as
// the table registry knows it.
func myKey(t *testing.T, path string) (registry.Key, string) {
	t.Helper()
	k, _, err := registry.CreateKey(registry.CURRENT_USER, `Software\`+path, registry.ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.Close()
		if err := registry.DeleteKey(registry.CURRENT_USER, `Software\`+path); err != nil {
			t.Error(err)
		}
	})
	return k, `HKEY_USERS\` + mySID(t) + `\Software\` + path
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestRegistryValues(t *testing.T) {
	name := fmt.Sprint("MusterTest", os.Getpid())
	k, path := myKey(t, name)
	myKey(t, name+`\Sub`)
	must(t,
		k.SetStringValue("", "the default"),
		k.SetBinaryValue("Empty", nil),
		k.SetStringValue("Text", "ü"),
		k.SetExpandStringValue("Expand", `%SystemRoot%\x`),
		k.SetDWordValue("DWord", 0xffffffff),
		k.SetQWordValue("QWord", 1<<63),
		k.SetStringsValue("Multi", []string{"a", "b"}),
		k.SetBinaryValue("Binary", []byte{10, 255}),
		k.SetBinaryValue("Long", make([]byte, 4096)),
	)
	info, err := k.Stat()
	must(t, err)
	rows := mustGather(t, registryTable(), equal("key", path))
	for _, want := range []muster.Row{
		{"name": "(Default)", "path": path + `\`, "type": "REG_SZ", "data": "the default"},
		{"name": "Empty", "type": "REG_BINARY", "data": ""},
		{"name": "Text", "path": path + `\Text`, "type": "REG_SZ", "data": "ü"},
		{"name": "Expand", "type": "REG_EXPAND_SZ", "data": `%SystemRoot%\x`},
		{"name": "DWord", "type": "REG_DWORD", "data": "-1"},
		{"name": "QWord", "type": "REG_QWORD", "data": "9223372036854775808"},
		{"name": "Multi", "type": "REG_MULTI_SZ", "data": "a,b"},
		{"name": "Binary", "type": "REG_BINARY", "data": "0AFF"},
		{"name": "Long", "type": "REG_BINARY", "data": strings.Repeat("00", 4096)},
		{"name": "Sub", "path": path + `\Sub`, "type": "subkey", "data": ""},
	} {
		got := find(t, rows, "name", want["name"])
		for column, value := range want {
			if got[column] != value {
				t.Errorf("%s: %s is %q, want %q", want["name"], column, got[column], value)
			}
		}
		if got["key"] != path {
			t.Errorf("%s: key is %q", want["name"], got["key"])
		}
	}
	if len(rows) != 10 {
		t.Errorf("%d rows", len(rows))
	}
	if got := find(t, rows, "name", "Text")["mtime"]; got != num(info.ModTime().Unix()) {
		t.Errorf("a value's mtime is %s, its key's %d", got, info.ModTime().Unix())
	}
}

func TestRegistryPatterns(t *testing.T) {
	name := fmt.Sprint("MusterTree", os.Getpid())
	_, root := myKey(t, name)
	one, _ := myKey(t, name+`\OneProfile`)
	deep, _ := myKey(t, name+`\OneProfile\Deep`)
	two, _ := myKey(t, name+`\TwoProfile`)
	must(t, one.SetDWordValue("On", 1), two.SetDWordValue("On", 0), deep.SetStringValue("X", "y"))
	values := func(constraint facts.Constraint) (got []string) {
		for _, r := range mustGather(t, registryTable(), constraint) {
			if r["type"] != "subkey" {
				got = append(got, strings.TrimPrefix(r["path"], root))
			}
		}
		return got
	}
	for _, c := range []struct {
		constraint facts.Constraint
		want       []string
	}{
		{like("key", root+`\%profile`), []string{`\OneProfile\On`, `\TwoProfile\On`}},
		{like("key", root+`\%\Deep`), []string{`\OneProfile\Deep\X`}},
		{like("key", root+`\%%`), []string{`\OneProfile\On`, `\OneProfile\Deep\X`, `\TwoProfile\On`}},
		{like("path", root+`\One%\On`), []string{`\OneProfile\On`}},
		{equal("path", root+`\OneProfile\On`), []string{`\OneProfile\On`}},
		{like("key", `HKEY_USERS\%\Software\`+name+`\TwoProfile`), []string{`\TwoProfile\On`}},
		{equal("key", root+`\None`), nil},
	} {
		if got := values(c.constraint); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.constraint.Value, got, c.want)
		}
	}
}

func TestRegistryHives(t *testing.T) {
	find(t, mustGather(t, registryTable()), "path", `HKEY_LOCAL_MACHINE\SOFTWARE`)
	if _, err := gather(t, registryTable(), equal("key", `HKLM\SOFTWARE`)); err == nil {
		t.Error("HKLM gives an empty answer instead of an error")
	}
}

func TestServices(t *testing.T) {
	rows := mustGather(t, servicesTable())
	// mgr.Connect asks for more rights than ordinary users have.
	handle, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_ENUMERATE_SERVICE)
	must(t, err)
	m := &mgr.Mgr{Handle: handle}
	defer m.Disconnect()
	names, err := m.ListServices()
	must(t, err)
	for _, name := range names {
		find(t, rows, "name", name)
	}
	one := mustGather(t, servicesTable(), equal("name", "EventLog"))
	for _, r := range append(one, find(t, rows, "name", "EventLog")) {
		if r["status"] != "RUNNING" || r["start_type"] != "AUTO_START" || r["path"] == "" || r["pid"] == "0" {
			t.Error(r)
		}
	}
	if !strings.HasSuffix(strings.ToLower(find(t, rows, "name", "BITS")["module_path"]), `system32\qmgr.dll`) {
		t.Error(find(t, rows, "name", "BITS"))
	}
}

func TestProcesses(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	rows := mustGather(t, processesTable(), equal("pid", strconv.Itoa(os.Getpid())))
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	r := rows[0]
	sid, err := windows.StringToSid(mySID(t))
	must(t, err)
	for column, want := range map[string]string{
		"name": filepath.Base(exe), "on_disk": "1", "state": "STILL_ACTIVE", "parent": strconv.Itoa(os.Getppid()), "uid": unum(rid(sid)),
	} {
		if r[column] != want {
			t.Errorf("%s is %q, want %q", column, r[column], want)
		}
	}
	if !strings.EqualFold(r["path"], exe) || r["resident_size"] == "-1" || r["start_time"] == "-1" {
		t.Error(r)
	}
	find(t, mustGather(t, processesTable()), "pid", strconv.Itoa(os.Getpid()))
}

func TestSockets(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer tcp.Close()
	_, port, err := net.SplitHostPort(tcp.Addr().String())
	must(t, err)
	r := find(t, mustGather(t, listeningPortsTable()), "port", port)
	if r["protocol"] != "6" || r["family"] != "2" || r["address"] != "127.0.0.1" {
		t.Error(r)
	}
	// Wine does not know whose a socket is.
	if r["pid"] != strconv.Itoa(os.Getpid()) && r["pid"] != "0" {
		t.Error(r)
	}
	port = udpPort(t)
	if r := find(t, mustGather(t, listeningPortsTable()), "port", port); r["protocol"] != "17" || r["address"] != "127.0.0.1" {
		t.Error(r)
	}
	client, err := net.Dial("tcp4", tcp.Addr().String())
	must(t, err)
	defer client.Close()
	_, port, err = net.SplitHostPort(client.LocalAddr().String())
	must(t, err)
	if r := find(t, mustGather(t, socketsTable()), "local_port", port); r["state"] != "ESTABLISHED" || r["remote_address"] != "127.0.0.1" {
		t.Error(r)
	}
}

// udpPort binds a UDP socket without net.ListenPacket, which Wine refuses.
func udpPort(t *testing.T) string {
	t.Helper()
	socket, err := windows.Socket(windows.AF_INET, windows.SOCK_DGRAM, 0)
	must(t, err)
	t.Cleanup(func() { must(t, windows.Closesocket(socket)) })
	must(t, windows.Bind(socket, &windows.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	address, err := windows.Getsockname(socket)
	must(t, err)
	return strconv.Itoa(address.(*windows.SockaddrInet4).Port)
}

func TestUsers(t *testing.T) {
	// Wine has no groups, so gid is not asked for.
	r := find(t, columnsOf(t, usersTable(), "uid username directory uuid"), "uuid", mySID(t))
	sid, err := windows.StringToSid(mySID(t))
	must(t, err)
	if r["uid"] != unum(rid(sid)) || r["username"] == "" || r["directory"] == "" {
		t.Error(r)
	}
	for _, r := range mustGather(t, accountsTable()) {
		if r["username"] == "" || r["uuid"] == "" || r["enabled"] == "" {
			t.Error(r)
		}
	}
}

func TestGroups(t *testing.T) {
	groups, err := gather(t, groupsTable())
	if err != nil {
		wantUnavailable(t, err)
		for _, table := range []facts.Table{userGroupsTable(), groupMembersTable()} {
			_, err := gather(t, table)
			wantUnavailable(t, err)
		}
		return
	}
	if r := find(t, groups, "group_sid", "S-1-5-32-544"); r["gid"] != "544" {
		t.Error(r)
	}
	members := mustGather(t, groupMembersTable())
	find(t, members, "group_sid", "S-1-5-32-544")
	for _, r := range mustGather(t, groupMembersTable(), equal("group_sid", "S-1-5-32-544")) {
		if r["group_sid"] != "S-1-5-32-544" || r["member_sid"] == "" || r["member_type"] == "" {
			t.Error(r)
		}
	}
	if pairs := mustGather(t, userGroupsTable()); len(pairs) != len(members) {
		t.Errorf("%d pairs and %d members", len(pairs), len(members))
	}
}

func TestOSVersion(t *testing.T) {
	rows := mustGather(t, osVersionTable())
	major, minor, build := windows.RtlGetNtVersionNumbers()
	if len(rows) != 1 || rows[0]["version"] != fmt.Sprintf("%d.%d.%d", major, minor, build) {
		t.Error(rows)
	}
	if (build >= 22000) != strings.Contains(rows[0]["name"], "Windows 11") && windows.RtlGetVersion().ProductType == productWorkstation {
		t.Error(rows[0]["name"])
	}
}

func TestSystemInfo(t *testing.T) {
	name, err := os.Hostname()
	must(t, err)
	if r := mustGather(t, systemInfoTable())[0]; !strings.EqualFold(r["computer_name"], name[:min(len(name), 15)]) || r["cpu_brand"] == "" {
		t.Error(r)
	}
}

func TestTimeWindows(t *testing.T) {
	r := mustGather(t, timeTable())[0]
	ticks, err := strconv.ParseInt(r["win_timestamp"], 10, 64)
	if err != nil || num(filetimeUnix(ticks)) != r["unix_time"] {
		t.Error(r, err)
	}
}

func TestPrograms(t *testing.T) {
	const id = "{6B0E7C1E-2C1B-4E0B-9C0E-5B2E5C6F0A99}"
	k, _ := myKey(t, `Microsoft\Windows\CurrentVersion\Uninstall\`+id)
	must(t, k.SetStringValue("DisplayName", "Muster test"), k.SetStringValue("DisplayVersion", "1.2"), k.SetDWordValue("Language", 1033))
	r := find(t, mustGather(t, programsTable()), "identifying_number", id)
	if r["name"] != "Muster test" || r["version"] != "1.2" || r["language"] != "1033" {
		t.Error(r)
	}
}

func TestStartupItems(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	name := fmt.Sprint("MusterTest", os.Getpid())
	set := func(key, value string, write func(registry.Key) error) string {
		k, _, err := registry.CreateKey(registry.CURRENT_USER, key, registry.ALL_ACCESS)
		must(t, err, write(k))
		t.Cleanup(func() { must(t, k.DeleteValue(value), k.Close()) })
		return `HKEY_USERS\` + mySID(t) + `\` + strings.Replace(key, "Software", "SOFTWARE", 1)
	}
	const run = `Software\Microsoft\Windows\CurrentVersion\Run`
	source := set(run, name, func(k registry.Key) error { return k.SetStringValue(name, `"`+exe+`" /background`) })
	r := find(t, mustGather(t, startupItemsTable()), "name", name)
	if r["path"] != exe || r["args"] != "/background" || r["status"] != "enabled" || r["source"] != source || r["username"] == "SYSTEM" {
		t.Error(r)
	}
	set(`Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run`, name, func(k registry.Key) error {
		return k.SetBinaryValue(name, []byte{3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	})
	if r := find(t, mustGather(t, startupItemsTable()), "name", name); r["status"] != "disabled" {
		t.Error(r)
	}
}

func TestFileWindows(t *testing.T) {
	path := systemFolder() + `\kernel32.dll`
	st, err := os.Stat(path)
	must(t, err)
	check := func(rows []muster.Row) {
		t.Helper()
		r := find(t, rows, "path", path)
		if r["size"] != num(st.Size()) || r["mtime"] != num(st.ModTime().Unix()) || r["type"] != "regular" || r["filename"] != "kernel32.dll" {
			t.Error(r)
		}
		if strings.Count(r["file_version"], ".") != 3 || !strings.EqualFold(r["original_filename"], "kernel32.dll") && r["original_filename"] == "" {
			t.Error(r)
		}
	}
	check(mustGather(t, filesTable(), equal("path", path)))
	check(mustGather(t, filesTable(), like("path", systemFolder()+`\kernel3%.dll`)))
	// Names on Windows match in either case.
	check(mustGather(t, filesTable(), like("path", systemFolder()+`\KERNEL3%.DLL`)))
	find(t, columnsOf(t, filesTable(), "path", equal("directory", systemFolder())), "path", path)
	if r := find(t, mustGather(t, filesTable(), equal("path", systemFolder())), "path", systemFolder()); r["type"] != "directory" {
		t.Error(r)
	}
	for _, none := range []string{`C:\none\at all`, `C:\a<b`, "", `Q:\x`} {
		if rows := mustGather(t, filesTable(), equal("path", none)); len(rows) != 0 {
			t.Errorf("%q: %v", none, rows)
		}
	}
}

func TestInterfaces(t *testing.T) {
	rows := mustGather(t, interfaceAddressesTable())
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addresses {
		ip := a.(*net.IPNet)
		if r := find(t, rows, "address", ip.IP.String()); len(ip.Mask) == net.IPv4len && r["mask"] != net.IP(ip.Mask).String() {
			t.Error(r)
		}
	}
	details := mustGather(t, interfaceDetailsTable())
	cards, err := net.Interfaces()
	must(t, err)
	for _, c := range cards {
		if r := find(t, details, "interface", strconv.Itoa(c.Index)); r["mac"] != c.HardwareAddr.String() || r["type"] == "" {
			t.Error(r)
		}
	}
}

func TestRoutes(t *testing.T) {
	for _, r := range mustGather(t, routesTable()) {
		if net.ParseIP(r["destination"]) == nil || net.ParseIP(r["gateway"]) == nil || r["metric"] == "" {
			t.Error(r)
		}
	}
}

func TestLogicalDrives(t *testing.T) {
	r := find(t, mustGather(t, logicalDrivesTable()), "device_id", systemFolder()[:2])
	if r["boot_partition"] != "1" || r["description"] != "Local Fixed Disk" || r["size"] == "-1" || r["file_system"] == "" {
		t.Error(r)
	}
}

func TestDrivers(t *testing.T) {
	for _, r := range mustGather(t, driversTable()) {
		if r["device_id"] == "" || r["signed"] == "" || r["class"] != strings.ToUpper(r["class"]) {
			t.Error(r)
		}
	}
}

func TestWMI(t *testing.T) {
	version := func(o comObject) (muster.Row, error) {
		v, err := o.get("Version")
		return muster.Row{"version": v}, err
	}
	rows, err := wmiQuery(t.Context(), cimv2, "SELECT * FROM Win32_OperatingSystem", version)
	major, minor, build := windows.RtlGetNtVersionNumbers()
	if err != nil || len(rows) != 1 || rows[0]["version"] != fmt.Sprintf("%d.%d.%d", major, minor, build) {
		t.Error(rows, err)
	}
	_, err = wmiQuery(t.Context(), `root\nowhere`, "SELECT * FROM Win32_OperatingSystem", version)
	wantUnavailable(t, err)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wmiQuery(done, cimv2, "SELECT * FROM Win32_OperatingSystem", version); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := wqlString(`say "C:\x"`); got != `"say \"C:\\x\""` {
		t.Error(got)
	}
}

func TestWithCOM(t *testing.T) {
	if _, err := withCOM(t.Context(), func() ([]muster.Row, error) { panic("broken object") }); err == nil || !strings.Contains(err.Error(), "broken object") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan bool)
	defer close(release)
	_, err := withCOM(ctx, func() ([]muster.Row, error) {
		cancel()
		<-release
		return nil, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestOptionalFeature: the name is handed on to WMI, and a part that does not exist has no row.
func TestOptionalFeature(t *testing.T) {
	rows, err := gather(t, optionalFeaturesTable(), equal("name", "NoSuchFeature"))
	if err != nil {
		wantUnavailable(t, err)
	}
	if len(rows) != 0 {
		t.Error(rows)
	}
}

func TestCauses(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{windows.ERROR_ACCESS_DENIED, facts.ErrDenied},
		{windows.STATUS_ACCESS_DENIED, facts.ErrDenied},
		{kernel32.NewProc("NoSuchFunction").Find(), facts.ErrUnavailable},
		{windows.NewLazySystemDLL("nosuch.dll").Load(), facts.ErrUnavailable},
	} {
		if err := failed("try", c.err); !errors.Is(err, c.want) || !errors.Is(err, c.err) {
			t.Errorf("%v became %v", c.err, err)
		}
	}
	if err := failed("try", windows.ERROR_INVALID_PARAMETER); errors.Is(err, facts.ErrDenied) || errors.Is(err, facts.ErrUnavailable) {
		t.Error(err)
	}
}

func TestPrivilege(t *testing.T) {
	if err := enablePrivilege("SeNoSuchPrivilege"); err == nil {
		t.Error("a privilege that does not exist was switched on")
	}
	if err := enablePrivilege("SeChangeNotifyPrivilege"); err != nil {
		t.Error(err) // everyone holds it
	}
}
