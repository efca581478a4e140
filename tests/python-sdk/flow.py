"""The OAuth flow of an agency app, with HighLevel's official Python SDK against the sandbox.

The SDK is not modified. A subclass replaces its base URL, and the host of the authorization URL is replaced by that of the
sandbox. The models of the SDK validate the responses.
"""

import asyncio
import json
import subprocess
import sys
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import httpx
from highlevel import HighLevel
from highlevel.constants import UserType
from highlevel.error import GHLError
from highlevel.services.oauth.models import oauth as models

SDK = "gohighlevel-api-client"
REDIRECT_URI = "http://127.0.0.1:9/back"
SCOPES = "conversations/message.write oauth.write oauth.readonly"
COMPANY = "GNb7aIv4rQFVb9iwNl5K"
CREATED = "created0000000000000"


def equal(found, expected, subject):
    """Ends the program with an error if two values differ."""
    if found != expected:
        sys.exit(f"{subject}: {found!r} instead of {expected!r}")


def authorize(sdk, sandbox, **choice):
    """Opens the authorization URL of the SDK as a browser does, and returns the code of the redirect."""
    url = urlsplit(sdk.oauth.get_authorization_url(sandbox["clientId"], REDIRECT_URI, SCOPES))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    response = httpx.get(sandbox["baseUrl"] + url.path, params={**query, **choice})
    equal(response.status_code, 302, "the status of the authorization")
    return parse_qs(urlsplit(response.headers["location"]).query)["code"][0]


async def fails(request, status, message):
    """Ends the program with an error if a request does not fail as expected."""
    try:
        found = await request
    except GHLError as error:
        equal((error.status_code, error.message), (status, message), "the error")
    else:
        sys.exit(f"{message}: the request succeeded with {found!r}")


async def installed_locations(sdk, app_id, **filters):
    """Returns the IDs of all listed locations, one page per location."""
    found, token = [], None
    while True:
        page = await sdk.oauth.get_installed_location(COMPANY, app_id, page_size=1, page_token=token, **filters)
        page = models.GetInstalledLocationsV3SuccessfulResponseDto(**page)
        pagination = models.V3PaginationMetaDto(**page.pagination)
        equal(pagination.hasPrevPage, bool(found), "hasPrevPage")
        equal(page.installToFutureLocations, True, "installToFutureLocations")
        found.extend(item.model_dump()["name"] for item in page.items)
        if not pagination.hasNextPage:
            equal(len(found), pagination.totalRecords, "totalRecords")
            return found
        token = pagination.nextPageToken


async def flow(sandbox):
    class Sandboxed(HighLevel):
        BASE_URL = sandbox["baseUrl"]

    app = {"clientId": sandbox["clientId"], "clientSecret": sandbox["clientSecret"]}
    sdk = Sandboxed(app["clientId"], app["clientSecret"], log_level="none")

    # The app is installed on a company, and the code is exchanged.
    code = authorize(sdk, sandbox, company="own", install_to_future_locations="true")
    exchange = {**app, "grantType": "authorization_code", "code": code, "userType": UserType.COMPANY}
    exchange["redirectUri"] = REDIRECT_URI
    tokens = await sdk.oauth.get_access_token(exchange)
    company = models.GetAccessTokenSuccessfulResponseDto(**tokens)
    equal((company.userType, company.companyId, company.expiresIn), ("Company", COMPANY, 86399), "the tokens")
    equal(company.approvedLocations, [sandbox["locationId"]], "approvedLocations")
    await fails(sdk.oauth.get_access_token(exchange), 401, "Authorization code not found")
    await sdk.session_storage.set_session(COMPANY, tokens)

    # The tokens of the company are refreshed.
    refresh = (app["clientId"], app["clientSecret"], "refresh_token", UserType.COMPANY)
    fresh = await sdk.oauth.refresh_token(company.refreshToken, *refresh)
    equal(fresh["accessToken"] != company.accessToken, True, "a new access token")
    await fails(
        sdk.oauth.refresh_token("unknown", *refresh), 400, "Invalid grant: refresh token is invalid"
    )
    await sdk.session_storage.set_session(COMPANY, fresh)

    # A location is created later, and the app is installed on it.
    created = httpx.put(f"{sandbox['adminUrl']}locations/{CREATED}", json={"name": "Created later"})
    equal(created.status_code, 200, "the status of the created location")
    equal(
        sorted(await installed_locations(sdk, sandbox["appId"], is_installed=True)),
        ["", "Created later"],
        "the installed locations",
    )
    equal(await installed_locations(sdk, sandbox["appId"], query="later"), ["Created later"], "the search")
    await fails(
        sdk.oauth.get_installed_location(COMPANY, "other"), 404, "{'code': 'RESOURCE_NOT_FOUND', 'message': "
        "\"The requested App 'other' was not found.\"}"
    )

    # Each location gets a token, with which the SDK sends a message.
    for location in (CREATED, sandbox["locationId"]):
        issued = await sdk.oauth.get_location_access_token({"companyId": COMPANY, "locationId": location})
        token = models.GetLocationAccessTokenV3SuccessfulResponseDto(**issued)
        equal((token.locationId, token.tokenType), (location, "Bearer"), "the location token")
        await sdk.session_storage.set_session(location, issued)
    message = {"type": "SMS", "contactId": sandbox["contactId"], "message": "Hello", "status": "pending"}
    options = {"headers": {"locationId": sandbox["locationId"]}}
    sent = await sdk.conversations.send_a_new_message(message, options)
    equal(sent["conversationId"], sandbox["conversationId"], "the conversation of the message")
    await sdk.close()


def main():
    program = sys.argv[1]
    arguments = [program, "serve", "--json", "--until-stdin-closes", "--redirect-uri", REDIRECT_URI]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            asyncio.run(flow(json.loads(process.stdout.readline())["data"]))
        finally:
            process.stdin.close()
            process.stdout.read()
    print(f"{SDK} {version(SDK)} completes the OAuth flow.")


if __name__ == "__main__":
    main()
