"""How a stopping process waits for its connections to end."""

import asyncio

from biot_sidecar.process.draining import IDLE_GRACE, drained


class Doubles:
    """Listener and ConnectionHandler at once: one connection, whose request lies in its socket for some turns."""

    def __init__(self, turns: int) -> None:
        self.open = 1
        self.in_flight = 0
        self.drain_idle = False
        self.now = 0.0
        self._turns = turns

    def clock(self) -> float:
        """The process stands still between its first look at the clock and the second."""
        now, self.now = self.now, 10 * IDLE_GRACE
        if now:
            asyncio.get_running_loop().call_soon(self._read)
        return now

    def _read(self) -> None:
        self._turns -= 1
        if self._turns:
            asyncio.get_running_loop().call_soon(self._read)
            return
        self.in_flight = 1
        self.open = 0

    def wake_all(self) -> None:
        self.open = 0


async def test_a_process_that_stood_still_reads_its_sockets_before_it_closes_connections_at_rest():
    doubles = Doubles(turns=3)
    await asyncio.wait_for(drained(doubles, doubles, doubles.clock), 40)
    assert not doubles.drain_idle


async def test_connections_at_rest_are_closed_once_nothing_runs():
    doubles = Doubles(turns=1000)
    await asyncio.wait_for(drained(doubles, doubles, doubles.clock), 40)
    assert doubles.drain_idle
