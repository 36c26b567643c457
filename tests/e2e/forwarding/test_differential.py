"""Ambiguous requests through the sidecar, nginx and haproxy: we forward none, and each difference is explained."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.e2e.forwarding.ambiguous import BODIES, HEADS
from tests.support import wants
from tests.support.live import LIVE
from tests.support.peers import haproxy, nginx
from tests.support.rawclient import RawClient
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.wire import Cut, lines

pytestmark = [
    *LIVE,
    wants.needs("nginx", "haproxy"),
]

LF_AS_LINE_END = (
    "RFC 9112, 2.2 lets a recipient take a lone LF for a line end; two servers in a row may not agree on it"
)
LF_IN_CHUNKS = "the same leniency inside chunked coding, where it has been used to smuggle requests"
UNFOLDED = "RFC 9112, 5.2 lets a proxy replace a fold by spaces; we refuse, as servers differ on what is folded"
CODING_WINS = "RFC 9112, 6.3 lets a proxy drop Content-Length beside chunked; it also says to suspect an attack"
EQUAL_LENGTHS = "RFC 9110, 8.6 lets a recipient merge equal lengths; we refuse, the sender is broken or lying"
ANY_1_X = "RFC 9110, 2.5 lets a recipient read a higher minor version as the highest it knows"
ANY_VERSION = "taken for some HTTP/1.x because the request line parses; nobody speaks so by accident"
OLD_VERSION = "HTTP/0.9 has no status, no framing and no Host: nothing a BioT plugin would send"
LOOSE_SPACES = (
    "RFC 9112, 3 lets a recipient split the request line at any white space; the target then depends on the reader"
)
CONTROL_PASSED = "RFC 9110, 5.5 asks for a refusal or a space; passed on, it is the next server's problem"
FIELD_DROPPED = "invalid names are dropped silently (ignore_invalid_headers); we say that the request is broken"
HOST_MISSING = "RFC 9112, 3.2 demands a 400; passed on, the next server guesses the host"
HOST_REPEATED = "RFC 9112, 3.2 demands a 400 even for equal values"
CODING_LIST = "an empty list element is legal in RFC 9110, 5.6.1.2; we take no list of codings at all"
CODING_OF_1_0 = "RFC 9112, 6.1: a coding in HTTP/1.0 means that the framing is broken"
EXTENSIONS = "extensions are dropped without a bound; we bound what we read and throw away"
TRAILERS = "trailers are dropped unread; we pass them on, so that they must be clean"
CR_BEFORE_CRLF = "a CR before CRLF is taken for part of the line end; RFC 9112, 2.2 calls it invalid"
LOOSE_SIZE = "white space in or behind a chunk size is not in the grammar of RFC 9112, 7.1"
COLONLESS = "a line without a colon is taken for a field without a value"

_CONTROLS = [name for name in HEADS if name.startswith("the control character")]
_LFS = [
    "a bare LF after the request line",
    "a bare LF after a field",
    "a bare LF at the end of the head",
    "bare LFs throughout",
]
_LF_CHUNKS = [
    "a bare LF after the size",
    "a bare LF after the data",
    "a bare LF after the last size",
    "a bare LF at the end",
]

NGINX_FORWARDS = {
    **dict.fromkeys(_LFS, LF_AS_LINE_END),
    **dict.fromkeys(_LF_CHUNKS, LF_IN_CHUNKS),
    **dict.fromkeys(_CONTROLS, CONTROL_PASSED),
    **dict.fromkeys(["HTTP/0.9", "HTTP/0.9 with fields"], OLD_VERSION),
    **dict.fromkeys(["HTTP/1.2", "HTTP/1.9", "HTTP/1.10"], ANY_1_X),
    **dict.fromkeys(
        ["two spaces before the target", "two spaces after the target", "a space at the end"], LOOSE_SPACES
    ),
    **{name: FIELD_DROPPED for name in HEADS if name.endswith(" in a name")},
    **dict.fromkeys([name for name in BODIES if "extension" in name], EXTENSIONS),
    **dict.fromkeys([name for name in BODIES if name.startswith("a trailer")], TRAILERS),
    "a bare CR at the end of a value": CR_BEFORE_CRLF,
    **dict.fromkeys(["a size cut in two", "a size before a space", "a last size before a tab"], LOOSE_SIZE),
    "a field without a colon": COLONLESS,
}

HAPROXY_FORWARDS = {
    **dict.fromkeys(_LFS, LF_AS_LINE_END),
    **dict.fromkeys(_LF_CHUNKS, LF_IN_CHUNKS),
    **dict.fromkeys(_CONTROLS, CONTROL_PASSED),
    **{name: UNFOLDED for name in HEADS if "fold" in name},
    **dict.fromkeys(
        ["a length, then chunked", "chunked, then a length", "chunked with a length of nought"], CODING_WINS
    ),
    **dict.fromkeys(["two equal lengths", "equal lengths in a list"], EQUAL_LENGTHS),
    **dict.fromkeys(["HTTP/1.2", "HTTP/1.9"], ANY_1_X),
    **dict.fromkeys(["HTTP/2.0", "HTTP/3.0"], ANY_VERSION),
    **{name: LOOSE_SPACES for name in HEADS if name.endswith(("before the target", "after the target"))},
    **{name: HOST_MISSING for name in HEADS if name.startswith("no ") and "1.1" in name},
    **dict.fromkeys(["two equal Hosts", "two Hosts in another case"], HOST_REPEATED),
    **dict.fromkeys([name for name in BODIES if "extension" in name], EXTENSIONS),
    **dict.fromkeys([name for name in BODIES if name.startswith("a trailer")], TRAILERS),
    **dict.fromkeys(["a size before a space", "a last size before a tab"], LOOSE_SIZE),
    "HTTP/0.9 in so many words": OLD_VERSION,
    "a line of white space only": UNFOLDED,
    "an empty element after chunked": CODING_LIST,
    "chunked in HTTP/1.0": CODING_OF_1_0,
    "no Host beside an absolute target": HOST_MISSING,
}

_LAST = lines(b"GET /smuggled HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close")


@dataclass
class Recorder:
    """Sends cases to a proxy and tells which ones reached the upstream behind it."""

    upstream: ScriptedUpstream

    async def forwarded(self, opened, raw):
        """Whether anything the upstream would act on came of it."""
        self.upstream.requests.clear()
        self.upstream.failures.clear()
        client = await opened
        try:
            async with asyncio.timeout(0.4):
                await client.send(raw + _LAST)
                await client.read_to_end()
        except (TimeoutError, Cut, ConnectionError):
            pass
        finally:
            client.close()
            await client.wait_closed()
        acted_on = any(exchange.complete for exchange in self.upstream.seen("/refused"))
        unclean = bool(self.upstream.failures)
        self.upstream.failures.clear()
        return acted_on or unclean


async def all_forwarded(upstream, open_client):
    recorder = Recorder(upstream)
    cases = {**HEADS, **BODIES}
    return {name for name, raw in cases.items() if await recorder.forwarded(open_client(), raw)}


@pytest.mark.parametrize(("peer", "explained"), [(nginx, NGINX_FORWARDS), (haproxy, HAPROXY_FORWARDS)])
async def test_what_a_peer_forwards_and_we_refuse_is_explained(peer, explained, tmp_path_factory):
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream())
        path = await stack.enter_async_context(peer(tmp_path_factory.mktemp("peer"), upstream.port))
        forwarded = await all_forwarded(upstream, lambda: RawClient.open_unix(path))
    assert forwarded <= set(explained), sorted(forwarded - set(explained))
    assert forwarded, "the peer forwards nothing ambiguous: is it running at all?"


async def test_the_sidecar_forwards_none_of_them(house):
    assert await all_forwarded(house.upstream, lambda: RawClient.open(house.sidecar.port)) == set()


async def test_every_explanation_belongs_to_a_case():
    assert set(NGINX_FORWARDS) | set(HAPROXY_FORWARDS) <= set(HEADS) | set(BODIES)
