"""Adds the program to the wheel, and names the platform that it runs on. ../build sets both variables."""

import os
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProgramHook(BuildHookInterface):
    def initialize(self, version, build_data):
        program = Path(os.environ["HIGHLEVEL_SANDBOX_BINARY"])
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['HIGHLEVEL_SANDBOX_PLATFORM']}"
        # An installer puts it where it puts console scripts, with the permission to run it.
        build_data["shared_scripts"] = {str(program): program.name}
