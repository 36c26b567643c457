"""biot-sidecar: plugin code calls localhost, the sidecar logs in, decides about interception and forwards to BioT.

A request goes through the house from left to right:

    plugin --bytes--> net/listener --RequestHead--> pipeline
                                                      | rules.verdict(method, target)  -> Verdict  policy/match
                                                      | tokens.current() or tokens.acquire() -> Token    net/tokens
                                                      | outgoing(head, verdict, token) -> bytes    policy/headers
                                                      | upstream.send(...)             -> answer   net/upstream
                                                      | returning(head)                -> bytes    policy/headers
    plugin <--bytes-- net/listener <---- bodies stream, back-pressure both ways ----+
                                any failure -> policy/replies, one table -> an error in BioT's shape

The rooms:

    commands/   a file for each command of the program
    wiring/     Settings -> the running program; the only room that knows every part and owns the real clock
    settings    environment and flags -> frozen Settings, or one error with every problem
    message     the frozen values that flow
    errors      every failure the path can name, by whose fault it is
    pipeline    the story of one request, and the ports it awaits
    policy/     decisions: pure functions of values; no clock, no I/O, no environment
    net/        awaits: sockets, TLS, logins, file watching; no decisions
    telemetry/  metrics, log, status
    inspector/  the page that shows requests live (aiohttp.web, off by default)
    simulator/  BioT on your desk (aiohttp.web)

Imports point inward, net -> pipeline -> policy -> values, and `make check` holds them to it.
"""

__version__ = "0.1.0"
