"""The installed wheel: the pytest fixture, with HighLevel's official SDK, and the program.

No fixture is imported: the wheel registers its plugin.
"""

import asyncio
import http.server
import json
import queue
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from highlevel_sandbox import Sandbox, SandboxError, find_program

README = (Path(__file__).parent / "README.md").read_text().split("```python\n")[1:]


def example(number):
    """Runs an example of the README, and returns its names."""
    names = {}
    exec(compile(README[number].split("```")[0], f"README.md, example {number}", "exec"), names)
    return names


class Webhook:
    """A request as the middleware of the SDK reads it."""

    def __init__(self, headers, body):
        self.headers = headers
        self.body = body


@pytest.fixture
def webhooks(highlevel_sandbox):
    """The webhooks that the sandbox sends."""
    received = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put(Webhook({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    highlevel_sandbox.set_webhook_url(f"http://127.0.0.1:{server.server_port}/")
    yield received
    server.shutdown()
    server.server_close()


def test_the_official_sdk_sends_a_message_and_verifies_its_webhook(highlevel_sandbox, webhooks, monkeypatch):
    monkeypatch.setenv("CLIENT_ID", highlevel_sandbox.client_id)
    monkeypatch.setenv("WEBHOOK_SIGNATURE_PUBLIC_KEY", highlevel_sandbox.webhook_public_key_pem)

    async def flow():
        sdk = example(2)["client"](highlevel_sandbox)
        message = {"type": "SMS", "contactId": highlevel_sandbox.contact_id, "message": "Hello", "status": "pending"}
        sent = await sdk.conversations.send_a_new_message(message)
        assert [each["id"] for each in highlevel_sandbox.messages()] == [sent["messageId"]]

        webhook = await asyncio.to_thread(webhooks.get)
        event = json.loads(webhook.body)
        assert (event["type"], event["messageId"], event["body"]) == ("OutboundMessage", sent["messageId"], "Hello")
        await sdk.webhooks.subscribe()(webhook)
        assert (webhook.signature_type, webhook.is_signature_valid) == ("ed25519", True)

        # A changed body is rejected.
        changed = Webhook(webhook.headers, webhook.body.replace(b"Hello", b"Howdy"))
        await sdk.webhooks.subscribe()(changed)
        assert (changed.signature_type, changed.is_signature_valid) == ("ed25519", False)
        await sdk.close()

    asyncio.run(flow())


def test_the_example_of_the_readme(highlevel_sandbox):
    example(0)["test_a_message_is_stored"](highlevel_sandbox)


def test_the_state_is_reset_before_each_test(highlevel_sandbox):
    assert highlevel_sandbox.messages() == []


def test_the_helpers_reach_the_sandbox(highlevel_sandbox):
    highlevel_sandbox.add_contact("grace", name="Grace", phone="+15035550123")
    assert "grace" in [contact["id"] for contact in highlevel_sandbox.contacts()]
    inbound = highlevel_sandbox.simulate_inbound(contactId="grace", message="Is a table free?")
    found = highlevel_sandbox.messages(contactId="grace", direction="inbound")
    assert [message["id"] for message in found] == [inbound["id"]]
    assert set(highlevel_sandbox.provider_ids) == {"sms", "custom-sms", "email", "call"}
    assert highlevel_sandbox.environment["HIGHLEVEL_BASE_URL"] == highlevel_sandbox.url
    with pytest.raises(SandboxError, match="GET messages/unknown: 404 "):
        highlevel_sandbox.admin("GET", "messages/unknown")

    highlevel_sandbox.break_next("reset", stage="after")
    headers = {"Authorization": f"Bearer {highlevel_sandbox.token}", "Version": "2021-04-15"}
    headers["Content-Type"] = "application/json"
    body = json.dumps({"type": "SMS", "contactId": "grace", "message": "At eight", "status": "pending"}).encode()
    request = urllib.request.Request(highlevel_sandbox.url + "/conversations/messages", body, headers)
    with pytest.raises(OSError):
        urllib.request.urlopen(request)
    assert len(highlevel_sandbox.messages(text="At eight")) == 1
    with urllib.request.urlopen(request) as response:
        assert response.status == 201


def test_an_error_has_the_message_of_the_program():
    with pytest.raises(SandboxError, match="exited with 2: error: unexpected argument '--adress'"):
        Sandbox.start(["--adress", "a"])
    with pytest.raises(SandboxError, match="exited with 1: error: .*https is not supported"):
        Sandbox.start(webhook_url="https://a.example")


def test_the_program_is_that_of_the_environment(monkeypatch):
    assert Path(find_program()).parent == Path(sys.executable).parent
    for command in ([find_program()], [sys.executable, "-m", "highlevel_sandbox"]):
        output = subprocess.run([*command, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert output.startswith("highlevel-sandbox ")
    monkeypatch.setenv("HIGHLEVEL_SANDBOX_BINARY", "/nowhere/sandbox")
    with pytest.raises(SandboxError, match="/nowhere/sandbox cannot be run"):
        Sandbox.start()


def ends(url):
    """Returns once nothing listens at the URL."""
    while True:
        try:
            urllib.request.urlopen(url + "/_sandbox/health").close()
        except urllib.error.URLError:
            return
        except OSError:
            # It was accepted, but the sandbox stops.
            continue


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_test_run_leaves_no_sandbox_behind():
    program = "import highlevel_sandbox, sys; print(highlevel_sandbox.Sandbox.start().url, flush=True); sys.stdin.read()"
    arguments = [sys.executable, "-c", program]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert url.startswith("http:")
        process.send_signal(signal.SIGKILL)
        ends(url)
