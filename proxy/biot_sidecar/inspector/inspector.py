"""The inspector of one serving process: its recorder, its server, and the folder that holds its socket."""

from __future__ import annotations

import asyncio
import tempfile

from aiohttp import web

from biot_sidecar.errors import BadSettings
from biot_sidecar.inspector.event_feed import read_events
from biot_sidecar.inspector.recorder import Recorder
from biot_sidecar.inspector.server import Report, start


class Inspector:
    """`recorder` is the observer to tell of finished requests; `path` the socket to hand requests on to.

    Raises BadSettings where no temporary folder can be had. `report` hears of mistakes in here.
    """

    def __init__(self, report: Report) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="biot-sidecar-")  # mode 0700
        except OSError as error:
            raise BadSettings([f"SIDECAR_INSPECT: no temporary folder for the inspector: {error.strerror}"]) from None
        self.recorder = Recorder()
        self.path = f"{self._folder.name}/inspector"
        self._report = report
        self._runner: web.AppRunner | None = None
        self._events: asyncio.Task[None] | None = None

    async def start(self, events_fd: int | None = None) -> None:
        """Serve, until stop(); of the plugin's events a pipe tells, if there is one."""
        self._runner = await start(self.path, self.recorder, self._report)
        if events_fd is not None:
            self._events = asyncio.get_running_loop().create_task(read_events(events_fd, self.recorder))
            self._events.add_done_callback(self._ended)

    def _ended(self, events: asyncio.Task[None]) -> None:
        if not events.cancelled() and (error := events.exception()) is not None:
            self._report(error)

    def end_streams(self) -> None:
        """Let go of the pages that watch, so that they do not hold up a sidecar that drains."""
        self.recorder.close()

    async def stop(self) -> None:
        """Serve no more and leave nothing behind."""
        if self._events is not None:
            self._events.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        self._folder.cleanup()
