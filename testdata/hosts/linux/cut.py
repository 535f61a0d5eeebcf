"""Leave out of a recording what no control reads: cut.py RECORDING RESULT."""
import json, sys

KEEP = {
    "file": ["path", "filename", "mtime", "size", "type", "symlink", "symlink_target_path"],
    "processes": ["pid", "name", "path", "cmdline", "uid"],
    "certificates": ["common_name", "sha1", "path"],
    "process_open_sockets": ["pid", "family", "protocol", "local_address", "local_port", "remote_address", "remote_port"],
    "listening_ports": ["pid", "port", "protocol", "family", "address"],
    "mounts": ["device", "device_alias", "path", "type", "blocks", "blocks_available", "blocks_free", "blocks_size"],
    "users": ["uid", "gid", "username", "directory", "shell"],
    "kernel_modules": ["name", "status"],
    "startup_items": ["name", "path", "args", "type", "source", "status", "username"],
    "interface_details": ["interface", "mac", "type"],
}
LIBRARY = ("lib", "gir1.2-", "python3-", "gstreamer", "fonts-", "perl-", "node-")
WANTED = {
    "muster_packages": lambda r: not r["name"].startswith(LIBRARY),
    "file": lambda r: not r["path"].startswith(("/lib/systemd/system/", "/usr/lib/systemd/system/")) or r["type"] != "regular",
    "processes": lambda r: r["cmdline"] and "/run/m" not in r["cmdline"] and not r["name"].startswith("muster"),
    "certificates": lambda r: r["path"].startswith("/usr/local/"),
    "process_open_sockets": lambda r: r["remote_port"] not in ("", "0"),
    "listening_ports": lambda r: r["port"] not in ("", "0"),
    "mounts": lambda r: r["device"].startswith("/dev/"),
    "startup_items": lambda r: r["type"] == "Startup Item",
    "block_devices": lambda r: not r["name"].startswith(("/dev/sr", "/dev/fd")),
    "kernel_modules": lambda r: "table" in r["name"] or "usb" in r["name"],
    "muster_lsm": lambda r: r["value"] in ("enforce", "1"),
}

recording = json.load(open(sys.argv[1]))
tables = recording.pop("tables")
tables.pop("deb_packages", None)  # for election management systems only
for name, rows in tables.items():
    rows = filter(WANTED.get(name, lambda r: True), rows)
    tables[name] = [{k: v for k, v in r.items() if k in KEEP.get(name, r)} for r in rows]
dump = lambda v: json.dumps(v, ensure_ascii=False)
with open(sys.argv[2], "w") as out:
    out.write("{\n" + "".join(f"{dump(k)}: {dump(v)},\n" for k, v in recording.items()) + '"tables": {\n')
    out.write(",\n".join(f"{dump(name)}: [" + ",".join("\n" + dump(r) for r in rows) + "\n]" for name, rows in tables.items()))
    out.write("\n}\n}\n")
