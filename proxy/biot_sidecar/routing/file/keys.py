"""The keys of a routes file and what each is for: what the reader knows, and what the schema tells editors."""

from __future__ import annotations

from typing import Final

SETTINGS: Final = {
    "interception": (
        "Whether BioT's interceptors run for the call. off: the header allow-interception is removed; on: it is set; "
        "client: it stays as the plugin sent it."
    ),
    "authorization": (
        "Whose token goes to BioT. replace: the service user's; keep: the plugin's own, the service user's if it sent "
        "none; none: no token."
    ),
    "timeout": (
        "How long BioT may take until it begins to answer, login and repeated tries included: 250ms, 30s, 5m, 1h."
    ),
    "retry": (
        "Whether failed tries are repeated. idempotent: GET, HEAD, OPTIONS, PUT and DELETE are, within the timeout and "
        "a budget; none: never."
    ),
}
"""What both `defaults` and a route can say."""

FILE: Final = {
    "version": "The version of this file's format.",
    "defaults": "What holds for calls that no route matches, and for what a route does not say.",
    "routes": "Routes in order: from the top, the first that matches a call decides about it.",
    "tests": "Calls whose outcome must not change by accident; tried by `check`, at start and at every reload.",
}
DEFAULTS: Final = {
    **SETTINGS,
    "unmatched": "Calls that no route matches. allow: forwarded with these defaults; deny: refused with 403; "
    "observe: forwarded, and counted as what deny would refuse.",
}
ROUTE: Final = {
    "name": "What logs, metrics and `explain` call this route; each route has a name of its own.",
    "match": (
        "Which calls: METHOD /path, or a list of those. GET|PUT names methods, * is any. In the path {id} is one "
        "segment, a final /** any number of them, none included. Quotes are needed around a text that begins with *."
    ),
    **SETTINGS,
    "deny": "Refuses the call with 403; the text is the reason that the caller reads.",
    "observe": (
        "Counts and logs the call as one that `deny` would refuse for this reason, and decides nothing: the routes "
        "below are asked as if this one were not there."
    ),
}
TEST: Final = {
    "request": "The call: METHOD /path, without placeholders.",
    "expect": "What must come out; only what is named here is compared.",
}
EXPECT: Final = {
    "route": "The name of the route that decides, or unmatched.",
    **SETTINGS,
    "deny": "true: the call is refused; false: it is not; a text: it is refused for this reason.",
    "observe": "true: a route observes the call; false: none does; a text: one does for this reason.",
}
SECTIONS: Final = {"the file's top": FILE, "defaults": DEFAULTS, "a route": ROUTE, "a test": TEST, "expect": EXPECT}
