"""Speak with a serial console: console.py SOCKET SECONDS (expect TEXT | send TEXT | run COMMAND)..."""
import re, socket, sys, time

class Console:
    def __init__(self, path, seconds):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.end = time.time() + seconds
        self.seen = ""

    def expect(self, pattern):
        """Waits for the pattern and answers what came before it."""
        while not (found := re.search(pattern, self.seen)):
            self.s.settimeout(max(self.end - time.time(), 0.01))
            try:
                self.seen += self.s.recv(65536).decode(errors="replace").replace("\r", "")
            except TimeoutError:
                sys.exit(f"no {pattern!r} after {self.seen[-800:]!r}")
        before, self.seen = self.seen[:found.start()], self.seen[found.end():]
        return before

    def send(self, text):
        self.s.sendall(text.encode().decode("unicode_escape").encode())

    def run(self, command):
        """Runs a command in a shell and prints what it printed."""
        self.s.sendall(f"echo begin'ning'; {command}; echo end'ing' $?\n".encode())
        self.expect(r"beginning\n")
        print(self.expect(r"ending \d+\n"), end="")

if __name__ == "__main__":
    console = Console(sys.argv[1], float(sys.argv[2]))
    for verb, text in zip(sys.argv[3::2], sys.argv[4::2]):
        getattr(console, verb)(text)
