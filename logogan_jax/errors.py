"""The one kind of error that a user can mend, and how a command reports it."""

import contextlib
import errno
import sys


class UserError(Exception):
    """One line: which key or file, what it was, what it should be, and the command that mends it."""


@contextlib.contextmanager
def reported():
    """Print a UserError or a full disk as one line on stderr and leave with status 2."""
    try:
        yield
    except UserError as error:
        sys.exit(_fail(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        sys.exit(_fail(f"the disk is full{where}: free some space and run the same command again"))


def _fail(message):
    print(f"error: {message}", file=sys.stderr, flush=True)
    return 2
