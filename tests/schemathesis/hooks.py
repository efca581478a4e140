"""What a schema cannot say: which contact, conversation, provider and message exist.

Each request is given those of the sandbox, so that a valid one is really accepted, and so that an invalid one is
refused for its fault and not for a contact that nobody has. Nothing that is wrong is made right: an id of the wrong
type stays, and what the schema requires is never added.
"""

import itertools
import json
import os
import urllib.request

import schemathesis

LOCATION = "l1C08ntBrFjLS0elLIYU"
CONTACT = "abc123def456"
CONVERSATION = "ABC12h2F6uBrIkfXYazb"
PROVIDER = "61d6d1f9cdac7612faf80753"
FILTER = {"field": "tags", "operator": "eq", "value": ["customer"]}

# For each operation: fields that one rule or the other demands, and the schema does not.
ADDED = {
    "POST /conversations/messages": [],
    "POST /conversations/messages/inbound": ["conversationId", "conversationProviderId"],
    "POST /conversations/messages/outbound": ["conversationId"],
    "POST /conversations/": [],
    "POST /conversations/providers/live-chat/typing": [],
    "PUT /conversations/{conversationId}": [],
    "POST /contacts/": [],
    "POST /contacts/upsert": [],
    "PUT /contacts/{contactId}": [],
    "POST /contacts/search": [],
}
EXISTING = {
    "contactId": CONTACT,
    "conversationId": CONVERSATION,
    "conversationProviderId": PROVIDER,
    "locationId": LOCATION,
}
# Operations about one message, and the kind of message that they are about.
CALLS = ["/recording", "/transcription", "/attachments"]

numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    label = case.operation.label
    path = dict(case.path_parameters or {})
    # The admin API is checked with ids that do not exist, too.
    if "/_sandbox/" in label:
        path = {}
    for name in path:
        path[name] = parameter(name, label)
    if path:
        case.path_parameters = path
    if label in ADDED and isinstance(case.body, dict):
        body = dict(case.body)
        for field, value in EXISTING.items():
            if isinstance(body.get(field), str) or (field not in body and field in ADDED[label]):
                body[field] = value
        # A location has no two contacts with the same phone number or email, and both have a format.
        if "/contacts/" in label:
            number = next(numbers)
            for field, value in {"phone": f"+1503556{number:04}", "email": f"x{number}@example.com"}.items():
                if isinstance(body.get(field), str):
                    body[field] = value
        # A contact has at most one conversation.
        if label == "POST /conversations/" and isinstance(body.get("contactId"), str):
            body["contactId"] = new_contact()
        # The examples of the documents have both a boolean and a string.
        if isinstance(body.get("isTyping"), bool):
            body["isTyping"] = "true"
        # Filters have no schema. Those of the sandbox have a field, an operator and a value.
        if isinstance(body.get("filters"), list):
            body["filters"] = [FILTER for _ in body["filters"]]
        # The names of the fields to sort by are in a text, and not in the schema.
        if isinstance(body.get("sort"), list):
            body["sort"] = [
                {**each, "field": "dateAdded"} if isinstance(each, dict) and isinstance(each.get("field"), str) else each
                for each in body["sort"]
            ]
        case.body = body
    # A message has at most 5 attachments, which the schema does not limit.
    if label.endswith("/attachments") and isinstance(case.body, dict) and isinstance(case.body.get("attachments"), list):
        case.body = {**case.body, "attachments": case.body["attachments"][:5]}
    query = dict(case.query or {})
    for name, value in EXISTING.items():
        if isinstance(query.get(name), str):
            query[name] = value
    if isinstance(query.get("number"), str) or (label.endswith("/duplicate") and "email" not in query):
        query["number"] = "+15037081210"
    # A page continues at a cursor or message of the page before.
    for name in ["cursor", "lastMessageId"]:
        if isinstance(query.get(name), str):
            del query[name]
    if query != (case.query or {}):
        case.query = query
    if label == "PUT /conversations/messages/{messageId}/status":
        # Two rules of the strict level require these fields of an error.
        error = case.body.get("error") if isinstance(case.body, dict) else None
        if isinstance(error, dict):
            case.body = {**case.body, "error": {"code": "1", "type": "saas", **error}}


def parameter(name, label):
    """The value of a parameter of the path: something that exists, and that no other request has changed."""
    if name == "contactId":
        return new_contact()
    if name == "messageId":
        return new_call() if any(ending in label for ending in CALLS) else new_message("SMS", message="Hello")["messageId"]
    if name == "emailMessageId":
        return new_message("Email", subject="Hello", html="<p>Hello</p>")["emailMessageId"]
    return EXISTING[name]


def new_contact():
    id = f"contact{next(numbers)}"
    request("PUT", f"/_sandbox/contacts/{id}", {"name": "Joan", "locationId": LOCATION})
    return id


def new_message(channel, **fields):
    """A message whose status is `pending`, after which every status can come."""
    message = {"type": channel, "contactId": CONTACT, "status": "pending", "conversationProviderId": PROVIDER}
    return request("POST", "/conversations/messages", {**message, **fields})


def new_call():
    """A call that was recorded."""
    call = {
        "type": "Call",
        "conversationId": CONVERSATION,
        "conversationProviderId": PROVIDER,
        "call": {"from": "+15035550100", "to": "+15037081210", "status": "completed"},
    }
    return request("POST", "/conversations/messages/outbound", call)["messageId"]


def request(method, path, body):
    headers = {
        "Authorization": "Bearer " + os.environ["SANDBOX_TOKEN"],
        "Version": "2021-04-15",
        "Content-Type": "application/json",
    }
    url = os.environ["SANDBOX"] + path
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers, method=method)
    with urllib.request.urlopen(request) as response:
        return json.load(response)
