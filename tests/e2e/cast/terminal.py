# SPDX-License-Identifier: MIT
"""A terminal on which a program runs."""

import contextlib
import fcntl
import os
import pty
import struct
import termios
import threading


class Terminal:
    """What a program writes to its terminal."""

    def __init__(self, rows=24, columns=200):
        self.ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while data := os.read(self.ours, 4096):
                self.text += data.decode(errors="replace")

    def resize(self, rows, columns):
        """The foreground process is told, if this is its terminal."""
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.ours, keys.encode())

    @property
    def modes(self):
        """As stty shows them."""
        return termios.tcgetattr(self.theirs)

    @property
    def last_line(self):
        """As it stands there now."""
        line = self.text.rpartition("\n")[2]
        return line.rpartition("\r\x1b[K")[2]

    @property
    def picture(self):
        """The lines that were drawn last, whole."""
        drawn = self.text.rpartition("\x1b[J")[0]
        last = drawn.rpartition("\x1b[H")[2]
        for code in "\x1b[K", "\x1b[1m", "\x1b[0m":
            last = last.replace(code, "")
        return last.split("\r\n")

    def close(self):
        os.close(self.theirs)
        self._reader.join(5)
        os.close(self.ours)
