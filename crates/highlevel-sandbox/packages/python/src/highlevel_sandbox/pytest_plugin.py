"""Fixtures for pytest. They are available without an import when the package is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from . import Sandbox


@pytest.fixture(scope="session")
def highlevel_sandbox_options() -> Sequence[str]:
    """The options of ``highlevel-sandbox serve``. Override it in ``conftest.py``."""
    return ()


@pytest.fixture(scope="session")
def highlevel_sandbox_process(highlevel_sandbox_options: Sequence[str]) -> Iterator[Sandbox]:
    """A sandbox for all tests of the session, which is not reset."""
    with Sandbox.start(highlevel_sandbox_options) as sandbox:
        yield sandbox


@pytest.fixture
def highlevel_sandbox(highlevel_sandbox_process: Sandbox) -> Sandbox:
    """A sandbox in the state of its start. The process is that of the session."""
    highlevel_sandbox_process.reset()
    return highlevel_sandbox_process
