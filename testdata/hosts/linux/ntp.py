"""Answers what time it is, on 127.0.0.1:123."""
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 123))
while True:
    d, a = s.recvfrom(512); now = time.time() + 2208988800
    t = struct.pack("!II", int(now), int(now % 1 * 2**32))
    s.sendto(b"\x24\x02\x06\xec" + bytes(8) + b"GPS\0" + t + d[40:48] + t + t, a)
