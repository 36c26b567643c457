"""Settings -> the running program. The only room that knows every part, and owner of the real clock and randomness.

lifecycle        from the sockets to the exit status: one process, or a supervisor with its workers
sidecar          every part that serves requests, put together
process_context  what differs between the only process and a worker: login, loop limiter, incurable routes, inspector
worker_context   a worker's, which asks its supervisor
supervisor       starts workers, does for all of them what one process does for itself, replaces lost ones
"""

from biot_sidecar.process.lifecycle import run_sidecar

__all__ = ["run_sidecar"]
