"""``python -m highlevel_sandbox``: the program, with its arguments and its exit code."""

import os
import subprocess
import sys

from . import find_program

if __name__ == "__main__":
    arguments = [find_program(), *sys.argv[1:]]
    if sys.platform == "win32":
        sys.exit(subprocess.call(arguments))
    os.execv(arguments[0], arguments)
