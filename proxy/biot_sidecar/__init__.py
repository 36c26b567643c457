"""biot-sidecar: plugin code calls localhost, the sidecar logs in, decides about interception and forwards to BioT.

A request goes through the house from left to right, in one coroutine for each client connection:

    plugin --bytes--> http.listener --RequestHead--> http.server.ConnectionHandler.serve_connection
                                                       |  http.admission.Admission               may it come in?
                                                       |  routing.table.RouteTable.verdict       which route?
                                                       |  auth.tokens.Tokens.current or acquire  which token?
                                                       |  http.header_rules.request_lines        which fields?
                                                       |  http.proxy.ForwardedRequest.run        over http.upstream_pool
                                                       |  http.header_rules.response_bytes
    plugin <--bytes-- http.listener <---- bodies stream, back-pressure both ways ----+
                                any failure -> http.error_catalogue -> an error in BioT's shape

The rooms; imports go from upper ones to lower ones (of auth, what is decided about tokens stands below http), and
`make check` holds them to it:

    cli                 a file for each command of the program
    process             Settings -> the running program; knows every part and owns the real clock
    inspector           the page that shows requests live (aiohttp.web, off by default)
    simulator           BioT on your desk (aiohttp.web)
    auth                everything about the token: logins, freshness, back-off, rejection, the secret, fleets
    telemetry           metrics, log, status
    http                the wire and the way of a request: connections, framing, header fields, forwarding, TLS, errors
    settings            environment and flags -> frozen Settings, or one error with every problem
    routing             which route answers a request and what it says; the routes file

and what any of them may use:

    errors              every failure the path can name, by whose fault it is
    frugal_start        a start that imports and compiles no more than it needs
    precompiled_regexes  regular expressions that a build has compiled for the start
    compiled_modules    where the compiled form's modules are found
    extras              the parts that an installation may lack
    durations           durations as people write them
    elapsed_clock       the time that has passed, whatever becomes of the wall clock
    bounded_cache       answers to questions that are asked again and again
    suggest             did you mean
    timestamps          moments as ISO 8601
    regular_file        files that settings name, read without waiting
    page_headers        header fields and media types of the pages for browsers
    threads             work in a thread of its own
    platform            what differs from one operating system to another; nothing else asks which one this is
    background_work     long work beside the loop
    pacing              long work in small steps
    traits              a mark on interfaces, for the compiler

docs/architecture.md shows the ways of a request, of a token and of a reload.
"""

from biot_sidecar.compiled_modules import find_compiled_modules

__version__ = "0.2.0"

find_compiled_modules(__path__[0])
