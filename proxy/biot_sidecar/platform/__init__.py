"""What differs from one operating system to another: every call to the kernel beyond what Python has everywhere.

This room alone asks sys.platform, and imports the module of the system that it runs on, no other. Each module has every
name below; where a system has no such thing, its answer says so, and what follows from that is decided elsewhere.

linux            all of it: sock_diag(7), socket filters, SO_REUSEPORT, /proc, prctl(2), systemd
darwin           macOS, and what else is no Linux and no Windows
windows          asyncio's selector loop, TCP, one process
posix            what linux and darwin have in common
sock_diag        Linux's answer about the socket at the other end
children         processes that we start: how they begin, are signalled and end with us
"""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from biot_sidecar.platform import linux as system
elif sys.platform == "win32":
    from biot_sidecar.platform import windows as system
else:
    from biot_sidecar.platform import darwin as system

# ---- what a system lacks, in words that end a sentence; empty where it is there

WHY_NO_UNIX_SOCKETS = system.WHY_NO_UNIX_SOCKETS
WHY_NO_WORKERS = system.WHY_NO_WORKERS
WHY_NO_PEER_UID = system.WHY_NO_PEER_UID

# ---- connections

UNIX_FAMILY = system.UNIX_FAMILY
"""The address family of unix sockets; where there are none, of no socket."""
CLIENTS_MOST = system.CLIENTS_MOST
"""Clients' connections that the event loop can watch at a time, beside those to BioT; infinity if there is no limit."""
LOOP_READS_ALL = system.LOOP_READS_ALL
"""True when the event loop reads all that a socket holds in one turn, its end included; asyncio's reads once a turn."""
far_side = system.far_side
"""What is known of a transport's other side: "open"; "half-closed": it says no more, and is known to wait for an answer
still; "gone": it says no more, and is not known to wait."""
has_input = system.has_input
"""True when the kernel holds something at a descriptor: bytes, an end, or at a listening socket a new connection."""
receive = system.receive
"""Bytes that the kernel holds at a socket that does not wait, b"" at its end. Raises OSError."""
bytes_sent = system.bytes_sent
"""Bytes that ever left on a TCP socket, those sent again not counted; None where the kernel does not tell."""
unacknowledged = system.unacknowledged
"""True if the other side of a TCP socket has not said that it has all that was sent, as far as the kernel tells."""

# ---- listening sockets

SPREADING_OPTION = system.SPREADING_OPTION
"""The socket option with which several sockets have one port and the kernel spreads connections over them. None where
there is no such option: several processes accept at one socket then."""
claim_port = system.claim_port
"""Before bind: take a port whose last user has just gone, and share it with nobody else."""
drop_new_connections = system.drop_new_connections
"""Let the kernel drop new connections at a listening descriptor, so that those it already holds can be taken before it
closes; where it cannot, one that arrives in between is reset."""
handshake_under_way = system.handshake_under_way
"""True while somebody's connection to a listening descriptor's port has begun and the kernel has yet to finish it, as
far as it tells."""
accept_again = system.accept_again
"""Undo it, on a socket that another process listened at before."""

# ---- users

UNKNOWN_UID = -1
"""The uid of a caller of whom the kernel tells nothing: it has gone, or lives in another network namespace."""
peer_uid = system.peer_uid
"""The uid at the other end of a transport, as our user namespace calls it, or UNKNOWN_UID."""
why_peers_untold = system.why_peers_untold
"""Why this system does not tell whose a loopback connection is, found out by asking it; empty if it does."""
own_uid = system.own_uid
uid_map = system.uid_map
"""What /proc/self/uid_map and /proc/sys/kernel/overflowuid hold, or an empty map and the usual number."""
uid_of = system.uid_of
"""A user's uid by name. Raises ValueError with the end of a sentence about the name."""

# ---- this process

new_event_loop = system.new_event_loop
run_once = system.run_once
"""Run a coroutine on asyncio's own loop: what ends soon would pay more for uvloop than it gets."""
handle_signals = system.handle_signals
"""Call `on_stop` on the loop for each signal that asks to stop, `on_hangup` for one that asks to read files again."""
raise_file_limit = system.raise_file_limit
"""Have as many files open as this process may have, within reason."""
file_limit = system.file_limit
"""How many files this process may have open; infinity where there is no limit."""
forbid_core_dumps = system.forbid_core_dumps
resident_memory = system.resident_memory
"""Bytes of this process that lie in memory; 0 where the system does not tell."""
give_memory_back = system.give_memory_back
"""Give freed memory back to the system; False where the C library cannot."""
read_process = system.read_process
"""What the kernel counts for this process, as far as it tells; zeros for the rest."""

# ---- files and pipes

OPEN_AT_ONCE = system.OPEN_AT_ONCE
"""The flag with which opening a pipe does not wait for its other side."""
OPEN_AS_IT_IS = system.OPEN_AS_IT_IS
"""Flags with which a file is read and written byte for byte, and no symbolic link followed where the system can."""
lock_file = system.lock_file
"""Take the lock of an open file for as long as it is open; False while another process has it."""
sync_folder = system.sync_folder
"""Have the names in a folder on disk. Raises OSError."""
own_by = system.own_by
"""Where this process is root: give an open file to that user."""
make_like = system.make_like
"""Give an open file another one's owner, and its mode as far as the mask goes. Raises OSError."""
copy_access_list = system.copy_access_list
"""Give an open file the access list of a path, beyond owner and mode, if it has one."""
PIPE_WHOLE = system.PIPE_WHOLE
"""Bytes that a pipe keeps together when several processes write into it."""
COLORS_TOLD_BY = system.COLORS_TOLD_BY
"""The environment variable of terminals that understand colours; empty where all do."""
reopen_pipe = system.reopen_pipe
"""A descriptor of the same pipe that does not wait, though others of it do; -1 where there is no such thing."""
wait_writable = system.wait_writable

# ---- other processes

GROUP_OF_ITS_OWN = system.GROUP_OF_ITS_OWN
"""Keywords of subprocess.Popen with which a process leads a group, out of reach of the terminal's signals to ours."""
end_group = system.end_group
"""Kill a process and, where the system knows groups, what it has started."""
read_output = system.read_output
"""What a process prints, up to `most` bytes and as far as they were read; None if it has not ended in time."""
hang_up = system.hang_up
"""Ask a process to read its files again (SIGHUP)."""
resume = system.resume
"""Let a process that was stopped go on (SIGCONT)."""
open_channel = system.open_channel
"""Streams on one end of a socket pair."""
tell_supervisor = system.tell_supervisor
"""Tell the service manager at that address a state such as READY=1; nothing happens where nobody listens."""
