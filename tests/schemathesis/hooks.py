"""What a schema cannot say: which contact, conversation, provider and message exist.

Each request is given those of the sandbox, so that a valid one is really accepted, and so that an invalid one is
refused for its fault and not for a contact that nobody has. Nothing that is wrong is made right: an id of the wrong
type stays, and what the schema requires is never added.
"""

import json
import os
import urllib.request

import schemathesis

CONTACT = "abc123def456"
CONVERSATION = "ABC12h2F6uBrIkfXYazb"
PROVIDER = "61d6d1f9cdac7612faf80753"

# For each operation: fields that one rule or the other demands, and the schema does not.
ADDED = {
    "POST /conversations/messages": [],
    "POST /conversations/messages/inbound": ["conversationId", "conversationProviderId"],
    "POST /conversations/messages/outbound": ["conversationId"],
}
EXISTING = {
    "contactId": CONTACT,
    "conversationId": CONVERSATION,
    "conversationProviderId": PROVIDER,
}


@schemathesis.hook
def before_call(context, case, kwargs):
    label = case.operation.label
    if label in ADDED and isinstance(case.body, dict):
        body = dict(case.body)
        for field, value in EXISTING.items():
            if isinstance(body.get(field), str) or (field not in body and field in ADDED[label]):
                body[field] = value
        case.body = body
    if label == "PUT /conversations/messages/{messageId}/status":
        case.path_parameters = {"messageId": new_message()}
        # Two rules of the strict level require these fields of an error.
        error = case.body.get("error") if isinstance(case.body, dict) else None
        if isinstance(error, dict):
            case.body = {**case.body, "error": {"code": "1", "type": "saas", **error}}


def new_message():
    """A message whose status is `pending`, after which every status can come."""
    request = urllib.request.Request(
        os.environ["SANDBOX"] + "/conversations/messages",
        data=json.dumps(
            {"type": "SMS", "contactId": CONTACT, "status": "pending", "message": "Hello", "conversationProviderId": PROVIDER}
        ).encode(),
        headers={
            "Authorization": "Bearer " + os.environ["SANDBOX_TOKEN"],
            "Version": "2021-04-15",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)["messageId"]
