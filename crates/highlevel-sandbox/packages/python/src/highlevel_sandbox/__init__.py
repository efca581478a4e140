"""A local HighLevel to develop and test against.

``pip install highlevel-sandbox`` installs the program ``highlevel-sandbox``. :meth:`Sandbox.start` runs it for a test, and
the pytest fixtures ``highlevel_sandbox`` and ``highlevel_sandbox_options`` do so for a test session.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

__all__ = ["Sandbox", "SandboxError", "find_program"]

_TIMEOUT = 30.0
_NAME = "highlevel-sandbox.exe" if sys.platform == "win32" else "highlevel-sandbox"


class SandboxError(Exception):
    """The sandbox cannot be started, or rejects a request to its admin API."""


def find_program() -> str:
    """Returns the path of the program ``highlevel-sandbox``.

    The environment variable ``HIGHLEVEL_SANDBOX_BINARY`` takes precedence over the program of this package.
    """
    chosen = os.environ.get("HIGHLEVEL_SANDBOX_BINARY")
    if chosen:
        return chosen
    package = Path(__file__).resolve().parent
    folders = [
        Path(sysconfig.get_path("scripts")),
        Path(sysconfig.get_path("scripts", scheme=sysconfig.get_preferred_scheme("user"))),
        # pip install --target
        package.parent / "bin",
    ]
    for folder in folders:
        if (folder / _NAME).is_file():
            return str(folder / _NAME)
    found = shutil.which(_NAME)
    if found is None:
        searched = ", ".join(str(folder) for folder in folders)
        raise SandboxError(f"{_NAME} is in none of {searched}; reinstall the package highlevel-sandbox")
    return found


class Sandbox:
    """A running sandbox, and a client of its admin API. A context manager, which stops it."""

    #: The base URL of the API, without a slash at its end.
    url: str
    #: The URL of the admin API, with a slash at its end.
    admin_url: str
    #: The URL of the inspector, a page for browsers.
    inspector_url: str
    #: The private integration token.
    token: str
    location_id: str
    #: A contact that always exists.
    contact_id: str
    #: The conversation with that contact.
    conversation_id: str
    #: The conversation providers: ``sms``, ``custom-sms``, ``email`` and ``call``.
    provider_ids: dict[str, str]
    app_id: str
    client_id: str
    client_secret: str
    #: The Ed25519 key that signs webhooks: base64 of a SubjectPublicKeyInfo, as HighLevel publishes its own.
    webhook_public_key: str

    def __init__(self, process: subprocess.Popen[str], facts: dict[str, Any]) -> None:
        self._process = process
        self.facts = facts
        self.url = facts["baseUrl"]
        self.admin_url = facts["adminUrl"]
        self.inspector_url = facts["inspectorUrl"]
        self.token = facts["token"]
        self.location_id = facts["locationId"]
        self.contact_id = facts["contactId"]
        self.conversation_id = facts["conversationId"]
        self.provider_ids = facts["providerIds"]
        self.app_id = facts["appId"]
        self.client_id = facts["clientId"]
        self.client_secret = facts["clientSecret"]
        self.webhook_public_key = facts["webhookPublicKey"]

    @classmethod
    def start(cls, options: Iterable[str] = (), *, webhook_url: str | None = None) -> Sandbox:
        """Starts a sandbox on a free port of this machine.

        ``options`` are those of ``highlevel-sandbox serve``, for example ``["--strictness", "documented"]``. The sandbox
        stops when this process ends, however it ends.

        Raises :class:`SandboxError` if the program cannot be run or exits, with its message.
        """
        arguments = [find_program(), "serve", "--json", "--until-stdin-closes", "--address", "127.0.0.1:0"]
        if webhook_url is not None:
            arguments += ["--webhook-url", webhook_url]
        try:
            process = subprocess.Popen(
                [*arguments, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise SandboxError(f"{arguments[0]} cannot be run: {error}") from error
        assert process.stdout is not None and process.stderr is not None
        errors: deque[str] = deque(maxlen=50)
        forwarding = threading.Thread(target=_forward, args=(process.stderr, errors), daemon=True)
        forwarding.start()
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            forwarding.join()
            raise SandboxError(f"the sandbox exited with {code}: {''.join(errors).strip()}")
        # Unread output would fill the pipe.
        threading.Thread(target=_drain, args=(process.stdout,), daemon=True).start()
        return cls(process, json.loads(line)["data"])

    @property
    def webhook_public_key_pem(self) -> str:
        """:attr:`webhook_public_key` in PEM format."""
        return f"-----BEGIN PUBLIC KEY-----\n{self.webhook_public_key}\n-----END PUBLIC KEY-----\n"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that configure a program for this sandbox."""
        return {
            "HIGHLEVEL_BASE_URL": self.url,
            "HIGHLEVEL_TOKEN": self.token,
            "HIGHLEVEL_LOCATION_ID": self.location_id,
            "HIGHLEVEL_CONTACT_ID": self.contact_id,
            "HIGHLEVEL_CLIENT_ID": self.client_id,
            "HIGHLEVEL_CLIENT_SECRET": self.client_secret,
            "HIGHLEVEL_SANDBOX_URL": self.url,
        }

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Sends a request to a path below ``/_sandbox/``. Returns the JSON of the response, ``None`` if it is empty.

        Raises :class:`SandboxError` with the reason if the sandbox rejects the request.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(self.admin_url + path, data, headers, method=method)
        # No proxy: the sandbox is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT) as response:
                return json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            raise SandboxError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def reset(self) -> None:
        """Restores the state of the start: objects, credentials, settings, faults and webhook URL."""
        self.admin("POST", "reset")

    def set_webhook_url(self, url: str) -> None:
        """Sends the events from now on to this URL."""
        self.admin("PATCH", "webhooks", {"url": url})

    def add_contact(self, contact_id: str, **fields: Any) -> dict[str, Any]:
        """Creates or replaces a contact, for example ``add_contact("grace", name="Grace", phone="+15035550123")``."""
        return self.admin("PUT", "contacts/" + urllib.parse.quote(contact_id, safe=""), fields)

    def contacts(self) -> list[dict[str, Any]]:
        """Returns the first 1,000 contacts, ordered by ID."""
        return self.admin("GET", "contacts?limit=1000")["contacts"]

    def messages(self, **filters: str) -> list[dict[str, Any]]:
        """Returns the first 1,000 messages, for example ``messages(contactId="grace", direction="inbound")``."""
        query = urllib.parse.urlencode({"limit": "1000", **filters})
        return self.admin("GET", "messages?" + query)["messages"]

    def simulate_inbound(self, **fields: Any) -> dict[str, Any]:
        """Simulates a message of a contact, for example ``simulate_inbound(message="Hello")``. Sends its event."""
        return self.admin("POST", "simulate/inbound", fields)

    def break_next(self, fault: str, **rule: Any) -> dict[str, Any]:
        """Breaks the next request, for example ``break_next("reset", stage="after")``: processed, response lost."""
        return self.admin("POST", "faults", {"fault": fault, "schedule": {"first": 1}, **rule})

    def stop(self) -> None:
        """Stops the sandbox. Requests in progress are completed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _forward(stream: IO[str], last: deque[str]) -> None:
    """Copies warnings to standard error, and stores the last lines."""
    with stream:
        for line in stream:
            last.append(line)
            sys.stderr.write(line)


def _drain(stream: IO[str]) -> None:
    with stream:
        for _ in stream:
            pass
