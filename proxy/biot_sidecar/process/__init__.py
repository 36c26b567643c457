"""Settings -> the running program. The only room that knows every part, and owner of the real clock and randomness.

lifecycle   one process that does everything, or a parent with its workers: the life from start to stop
sidecar     every part that serves requests, put together
process_context  what one process has to itself, or several have together: the login, the loop guard, the inspector
"""

from biot_sidecar.process.lifecycle import run_sidecar

__all__ = ["run_sidecar"]
