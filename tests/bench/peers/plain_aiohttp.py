"""A forwarding proxy as most people would write it with aiohttp: PORT UPSTREAM CA TOKEN."""

import ssl
import sys

from aiohttp import ClientSession, TCPConnector, web

PORT, UPSTREAM, CA, TOKEN = sys.argv[1:]
HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "authorization"}
SESSION = web.AppKey("session", ClientSession)


def kept(headers):
    return [(name, value) for name, value in headers.items() if name.lower() not in HOP]


async def forward(request):
    headers = [*kept(request.headers), ("Authorization", f"Bearer {TOKEN}")]
    body = request.content if request.body_exists else None
    async with request.app[SESSION].request(
        request.method, UPSTREAM + request.path_qs, headers=headers, data=body, allow_redirects=False
    ) as answer:
        response = web.StreamResponse(status=answer.status, headers=kept(answer.headers))
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response


async def session(app):
    connector = TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=CA))
    async with ClientSession(connector=connector, auto_decompress=False) as app[SESSION]:
        yield


def main():
    app = web.Application(client_max_size=0)
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", forward)
    web.run_app(app, host="127.0.0.1", port=int(PORT), print=None, access_log=None)


if __name__ == "__main__":
    main()
