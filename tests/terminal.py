"""A terminal as tests see it: what a program has written to it, and what then stands on its screen."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
import time

_CODES = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


class Terminal:
    """A pseudo terminal; `slave` is the end that a program writes to."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.written = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def resize(self, columns):
        """Make it that wide."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def wait_for(self, text, seconds=60):
        """Wait until a program has written a text."""
        end = time.monotonic() + seconds
        while text.encode() not in self.written:
            assert time.monotonic() < end, self.written
            time.sleep(0.02)

    def close(self):
        """Close the program's end, once it has written everything. Returns what it has written."""
        os.close(self.slave)
        self._thread.join()
        os.close(self.master)
        return self.written.decode()

    def _read(self):
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while part := os.read(self.master, 65536):
                self.written += part


def lines(written):
    """What stands on an endless screen once all of `written` has come: [line]."""
    screen, row, column = [""], 0, 0
    for found in _CODES.finditer(written):
        number, letter = found.group(1), found.group(2)
        if letter == "A":
            row -= int(number or 1)
        elif letter == "K":
            screen[row] = ""
        elif found.group() == "\r":
            column = 0
        elif found.group() == "\n":
            row, column = row + 1, 0
            screen += [""] * (row + 1 - len(screen))
        elif not letter:
            screen[row] = (
                screen[row][:column].ljust(column) + found.group() + screen[row][column + len(found.group()) :]
            )
            column += len(found.group())
    return [line.rstrip() for line in screen]


def colours(written):
    """The colours that were asked for: their numbers as text."""
    return {
        number
        for codes in re.findall(r"\x1b\[([\d;]+)m", written)
        for number in codes.split(";")
        if number not in ("", "0", "1", "2", "3", "4", "7", "22", "23", "24", "27")
    }
