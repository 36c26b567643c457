"""Processes that a command starts and waits for: how they begin, are signalled, and end with it.

                     Linux                        macOS                        Windows
signals come         blocked, by sigwaitinfo      blocked, by sigwait          by handlers, which wake select
the terminal's are   told apart by si_code        those of the foreground      all of them
our own end with us  prctl(2)                     by a pipe to them (cli.lifeline)
others end with us   prctl(2)                     ours, which the pipe tells, end them
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from biot_sidecar.platform import windows_children as system
else:
    from biot_sidecar.platform import posix_children as system

CHILD_ENDED = system.CHILD_ENDED
"""What Signals.next tells when a child may have ended."""
STOPPING = system.STOPPING
"""Signals that ask us to end."""
HURRYING = system.HURRYING
"""Signals that mean haste when they come once more."""
FORWARDED = system.FORWARDED
"""Signals that a command beside us should get as well."""
LIFELINE = system.LIFELINE
"""True where our own children have to watch standard input, a pipe, to end with us."""
Child = system.Child
Signals = system.Signals
start = system.start
"""Start a command in the foreground with us. Raises OSError if it cannot be run."""
start_own = system.start_own
"""Start a command of this program, out of the terminal's reach; with its standard output as a pipe to us."""
reap = system.reap
"""Notice every child that has ended."""

# ---- processes under an event loop

open_feed = system.open_feed
"""A pipe for a process that is started with it: its end, and ours, which never waits. Twice -1 where a process can get
no descriptors but the standard ones."""
CAN_FREEZE = system.CAN_FREEZE
"""Whether processes can be stopped and continued."""
group_keywords = system.group_keywords
"""Keywords of subprocess's and asyncio's for a process that leads a group out of the terminal's reach and, where the
system can say so, ends with us: told to, or killed if it may be frozen then and would not hear."""
kill_group = system.kill_group
"""End such a process at once and, where the system knows groups, what it started; frozen or not."""
terminate_group = system.terminate_group
freeze_group = system.freeze_group
"""Stop it: no timer runs, no socket is read."""
thaw_group = system.thaw_group
