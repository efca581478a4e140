"""Starts a sandbox with the installed wheel, and sends a message, with the standard library only."""

import json
import urllib.request

from highlevel_sandbox import Sandbox

with Sandbox.start() as sandbox:
    body = {"type": "SMS", "contactId": sandbox.contact_id, "message": "Hello", "status": "pending"}
    headers = {
        "Authorization": f"Bearer {sandbox.token}",
        "Version": "2021-04-15",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(sandbox.url + "/conversations/messages", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        assert response.status == 201
