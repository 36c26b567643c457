"""Sockets that listen, and the connections they serve, over real sockets and on both loops."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time

import pytest
from biot_sidecar.errors import AddressInUse
from biot_sidecar.http import sockets as net_sockets
from biot_sidecar.http.listener import ACCEPT_TIME, ClientConnection, Listener
from biot_sidecar.http.sockets import InheritedListener, bind_all, bound, called_at, shown, unbind
from biot_sidecar.platform import handshake_under_way
from biot_sidecar.settings import ListenAddress

from tests.http.wires import settled
from tests.support.ports import ADDRESS_IN_USE, free_port

ANY = ListenAddress("127.0.0.1", 0)
HANDSHAKES_TOLD = hasattr(socket, "TCP_DEFER_ACCEPT")  # both are Linux's alone
NO_IPV6 = not os.path.exists("/proc/net/if_inet6")


def bind(address):
    """The socket of an address that stands for one place."""
    ((sock,),) = bind_all(address)
    return sock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s.sock")


def test_any_free_port_is_named_after_binding():
    sock = bind(ANY)
    assert bound(sock) == f"127.0.0.1:{sock.getsockname()[1]}"
    unbind(sock)


def test_ipv6_is_shown_in_brackets():
    sock = bind(ListenAddress("::1", 0))
    assert bound(sock) == f"[::1]:{sock.getsockname()[1]}"
    unbind(sock)


def test_a_port_in_use_is_refused_and_named():
    sock = bind(ANY)
    taken = ListenAddress("127.0.0.1", sock.getsockname()[1])
    with pytest.raises(AddressInUse, match=f"cannot listen on {shown(taken)}: {ADDRESS_IN_USE}"):
        bind(taken)
    unbind(sock)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(AddressInUse, match=r"cannot listen on 203\.0\.113\.1:80"):
        bind(ListenAddress("203.0.113.1", 80))


def names_of(bound_sockets):
    return [[bound(sock).rpartition(":")[0] for sock in each] for each in bound_sockets]


def close_all(bound_sockets):
    for each in bound_sockets:
        for sock in each:
            unbind(sock)


@pytest.mark.skipif(NO_IPV6, reason="no IPv6 here")
@pytest.mark.parametrize("processes", [1, 3])
def test_localhost_is_every_address_that_bears_the_name_on_one_port(processes):
    both = bind_all(ListenAddress("localhost", 0), processes)
    assert names_of(both) == [["127.0.0.1"] * processes, ["[::1]"] * processes]
    (port,) = {sock.getsockname()[1] for each in both for sock in each}
    assert port
    with pytest.raises(AddressInUse, match=f"cannot listen on localhost:{port}: {ADDRESS_IN_USE}"):
        bind_all(ListenAddress("localhost", port), processes)
    close_all(both)


@pytest.mark.skipif(NO_IPV6, reason="no IPv6 here")
def test_what_is_listened_at_already_is_left_out():
    port = free_port()
    ((first,),) = bind_all(ListenAddress("::1", port))
    rest = bind_all(ListenAddress("localhost", port), ours=[first.getsockname()])
    assert names_of(rest) == [["127.0.0.1"]]
    close_all([*rest, [first]])


@pytest.mark.skipif(NO_IPV6, reason="no IPv6 here")
def test_a_name_one_of_whose_addresses_is_taken_is_refused_with_nothing_left_open():
    port = free_port()
    taken = bind(ListenAddress("::1", port))
    with pytest.raises(AddressInUse):
        bind_all(ListenAddress("localhost", port))
    unbind(bind(ListenAddress("127.0.0.1", port)))
    unbind(taken)


def test_an_address_that_this_machine_lacks_counts_for_nothing_beside_one_that_it_has(monkeypatch):
    told = [(socket.AF_INET, 1, 6, "", (host, 0)) for host in ("203.0.113.1", "127.0.0.1")]
    monkeypatch.setattr(net_sockets.socket, "getaddrinfo", lambda *args, **options: told)
    some = bind_all(ListenAddress("plugins.example", 0))
    assert names_of(some) == [["127.0.0.1"]]
    close_all(some)


@pytest.mark.skipif(NO_IPV6, reason="no IPv6 here")
def test_every_ipv6_address_is_every_ipv4_address_too_unless_one_is_named_beside_it():
    port = free_port()
    both = bind(ListenAddress("::", port))
    socket.create_connection(("127.0.0.1", port)).close()
    socket.create_connection(("::1", port)).close()
    unbind(both)
    four = ListenAddress("0.0.0.0", port)
    ((six,),) = bind_all(ListenAddress("::", port), beside=[four, ListenAddress("::", port)])
    close_all([*bind_all(four), [six]])


def test_where_a_plugin_calls_is_told_as_a_url(path):
    some = [bind(ListenAddress("", path=path)), bind(ListenAddress("0.0.0.0", 0)), bind(ANY)]
    assert called_at(some) == f"http://127.0.0.1:{some[1].getsockname()[1]}"
    assert called_at(some[:1]) == f"unix:{path}"
    assert called_at([]) == ""
    close_all([some])


def test_a_socket_file_is_for_this_user_alone_and_goes_with_its_socket(path):
    sock = bind(ListenAddress("", path=path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert bound(sock) == f"unix:{path}"
    unbind(sock)
    assert not os.path.exists(path)


def test_binding_leaves_the_umask_as_it_was(path):
    before = os.umask(0o027)
    unbind(bind(ListenAddress("", path=path)))
    assert os.umask(before) == 0o027


def test_a_dead_socket_file_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    unbind(bind(ListenAddress("", path=path)))


def test_a_live_socket_file_is_left_alone(path):
    sock = bind(ListenAddress("", path=path))
    with pytest.raises(AddressInUse, match="another program listens there"):
        bind(ListenAddress("", path=path))
    assert os.path.exists(path)
    unbind(sock)


def test_a_live_socket_file_whose_backlog_is_full_is_left_alone(path):
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as waiting:
        full.bind(path)
        full.listen(0)
        waiting.connect(path)
        with pytest.raises(AddressInUse, match="another program listens there"):
            bind(ListenAddress("", path=path))
        assert os.path.exists(path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    file = tmp_path / "notes"
    file.write_text("keep me")
    with pytest.raises(AddressInUse):
        bind(ListenAddress("", path=str(file)))
    assert file.read_text() == "keep me"


async def echo_heads(client):
    """A conversation: the first head comes back."""
    client.expect_head()
    while client.raw_head is None:
        await client.wakeup.next()
    client.write(client.raw_head)
    client.close()


@pytest.mark.parametrize("unix", [False, True])
async def test_connections_are_served_over_tcp_and_unix_sockets(unix, path):
    reports = []
    listener = Listener(echo_heads, reports.append)
    sock = bind(ListenAddress("", path=path) if unix else ANY)
    await listener.listen(sock)
    opened = asyncio.open_unix_connection(path) if unix else asyncio.open_connection(*sock.getsockname())
    reader, writer = await opened
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b"GET / HTTP/1.1\r\n\r\n"
    writer.close()
    await settled(lambda: listener.open == 0)
    await listener.stop_accepting()
    unbind(sock)
    assert not reports


async def test_a_client_that_goes_away_ends_its_conversation():
    gone = asyncio.Event()

    async def wait(client):
        try:
            await client.wakeup.next()
        finally:
            gone.set()

    listener = Listener(wait, lambda error: None)
    sock = bind(ANY)
    await listener.listen(sock)
    _, writer = await asyncio.open_connection(*sock.getsockname())
    await settled(lambda: listener.open)
    writer.close()
    await asyncio.wait_for(gone.wait(), 40)
    await listener.stop_accepting()


async def test_a_mistake_of_ours_is_reported_and_its_connection_reset():
    reports = []

    async def stumble(client):
        raise ZeroDivisionError

    listener = Listener(stumble, reports.append)
    sock = bind(ANY)
    await listener.listen(sock)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert isinstance(reports[0], ZeroDivisionError)
    await listener.stop_accepting()


async def test_a_listener_that_refuses_new_connections_keeps_those_it_has():
    listener = Listener(echo_heads, lambda error: None)
    sock = bind(ANY)
    await listener.listen(sock)
    where = sock.getsockname()
    reader, writer = await asyncio.open_connection(*where)
    await settled(lambda: listener.open)
    await listener.stop_accepting()
    unbind(sock)
    with pytest.raises(OSError, match=r"refused|reset|failed"):
        await asyncio.wait_for(asyncio.open_connection(*where), 40)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b"GET / HTTP/1.1\r\n\r\n"
    writer.close()


async def test_a_machine_that_has_no_time_for_us_loses_nobody_who_has_connected():
    listener = Listener(echo_heads, lambda error: None)
    sock = bind(ANY)
    await listener.listen(sock)
    clients = [socket.create_connection(sock.getsockname(), timeout=40) for _ in range(20)]
    closing = asyncio.ensure_future(listener.stop_accepting())
    await asyncio.sleep(0)
    time.sleep(2 * ACCEPT_TIME)
    await closing
    assert listener.open >= len(clients), "the end waits for each of them"
    unbind(sock)
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    answers = [await asyncio.to_thread(client.recv, 100) for client in clients]
    assert answers == [b"GET / HTTP/1.1\r\n\r\n"] * len(clients)
    for client in clients:
        client.close()
    await settled(lambda: listener.open == 0)


def connect_before_the_kernel_is_done(sock):
    """A client who has connected, as far as it knows: what it sends first ends the handshake (tcp(7))."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    return socket.create_connection(sock.getsockname(), timeout=40)


@pytest.mark.skipif(not HANDSHAKES_TOLD, reason="only Linux tells of handshakes that have begun")
async def test_a_kernel_that_is_late_with_a_handshake_loses_nobody_who_has_connected():
    listener = Listener(echo_heads, lambda error: None)
    sock = bind(ANY)
    await listener.listen(sock)
    client = connect_before_the_kernel_is_done(sock)
    closing = asyncio.ensure_future(listener.stop_accepting())
    await asyncio.sleep(3 * ACCEPT_TIME)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    await closing
    unbind(sock)
    assert await asyncio.to_thread(client.recv, 100) == b"GET / HTTP/1.1\r\n\r\n"
    client.close()
    await settled(lambda: listener.open == 0)


@pytest.mark.skipif(not HANDSHAKES_TOLD, reason="only Linux tells of handshakes that have begun")
async def test_who_never_ends_a_handshake_is_not_waited_for_any_longer():
    listener = Listener(echo_heads, lambda error: None)
    sock = bind(ANY)
    await listener.listen(sock)
    client = connect_before_the_kernel_is_done(sock)
    assert handshake_under_way(sock.fileno())
    await listener.stop_accepting()
    assert listener.open == 0
    unbind(sock)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(client.recv, 100)
    client.close()


async def test_a_file_goes_first_and_only_once(path):
    listener = Listener(echo_heads, lambda error: None)
    sock = bind(ListenAddress("", path=path))
    await listener.listen(sock)
    closing = asyncio.ensure_future(listener.stop_accepting())
    await asyncio.sleep(0)
    assert not os.path.exists(path)
    other = bind(ListenAddress("", path=path))  # the next program's
    await closing
    unbind(sock)
    assert os.path.exists(path)
    unbind(other)


async def test_aborting_all_resets_every_connection():
    async def wait(client):
        await client.wakeup.next()

    listener = Listener(wait, lambda error: None)
    sock = bind(ANY)
    await listener.listen(sock)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    await settled(lambda: listener.open)
    listener.abort_all()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await settled(lambda: listener.open == 0)
    await listener.stop_accepting()


async def test_several_processes_get_a_socket_each_at_one_address():
    (sockets,) = bind_all(ANY, 3)
    assert len({sock.getsockname() for sock in sockets}) == 1
    assert len({sock.fileno() for sock in sockets}) == 3
    with pytest.raises(AddressInUse):
        bind_all(ListenAddress("127.0.0.1", sockets[0].getsockname()[1]), 2)
    for sock in sockets:
        unbind(sock)


async def test_several_processes_share_one_unix_socket(tmp_path):
    ((one, two),) = bind_all(ListenAddress("", path=str(tmp_path / "socket")), 2)
    assert one is two
    unbind(one)
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize("socket_class", [socket.socket, InheritedListener])
async def test_a_socket_that_others_hold_still_listens_when_its_listener_has_closed(socket_class):
    kept = bind(ANY)  # the one of systemd, or of other workers
    for _ in range(2):
        listener = Listener(echo_heads, lambda error: None)
        await listener.listen(socket_class(fileno=os.dup(kept.fileno())))
        reader, writer = await asyncio.wait_for(asyncio.open_connection(*kept.getsockname()), 40)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 40) == b"GET / HTTP/1.1\r\n\r\n"
        writer.close()
        await listener.stop_accepting()
    unbind(kept)


async def test_who_waits_at_a_socket_that_was_handed_over_waits_for_the_next_program():
    kept = bind(ANY)
    first, second = Listener(echo_heads, lambda error: None), Listener(echo_heads, lambda error: None)
    await first.listen(InheritedListener(fileno=os.dup(kept.fileno())))
    closing = asyncio.ensure_future(first.stop_accepting())
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection(*kept.getsockname())
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await closing
    assert first.open == 0
    await second.listen(InheritedListener(fileno=os.dup(kept.fileno())))
    assert await asyncio.wait_for(reader.read(), 40) == b"GET / HTTP/1.1\r\n\r\n"
    writer.close()
    await second.stop_accepting()
    unbind(kept)


async def test_more_connections_than_the_loop_can_watch_wait_for_their_turn():
    short: list[int] = []
    served: list[ClientConnection] = []
    sock = bind(ANY)

    async def serve(connection):
        served.append(connection)
        await asyncio.Event().wait()

    listener = Listener(serve, pytest.fail, short=lambda: short.append(1), clients_most=1)
    await listener.listen(sock)
    clients = [socket.create_connection(sock.getsockname()) for _ in range(3)]
    async with asyncio.timeout(40):
        await settled(lambda: short and len(served) == 2)  # the one that found it full, too: it was taken already
        listener.abort_all()
        await settled(lambda: len(served) == 3)
        listener.abort_all()
        await settled(lambda: not listener.open)
    for client in clients:
        client.close()
    listener.close_acceptors()


async def test_a_full_listener_stops_though_others_wait_to_be_taken():
    async def serve(connection):
        await asyncio.Event().wait()

    sock = bind(ANY)
    listener = Listener(serve, pytest.fail, clients_most=0)
    await listener.listen(sock)
    clients = [socket.create_connection(sock.getsockname()) for _ in range(2)]
    await settled(lambda: listener.open)  # the first was taken, which found it full; the second is the kernel's
    await listener.stop_accepting()
    unbind(sock)
    with clients[1], pytest.raises(ConnectionResetError):
        await asyncio.to_thread(clients[1].recv, 1)
    clients[0].close()
    listener.abort_all()
    await settled(lambda: not listener.open)


def test_where_ports_cannot_be_spread_all_processes_accept_at_one_socket(monkeypatch):
    monkeypatch.setattr(net_sockets, "SPREADING_OPTION", None)
    ((one, two, three),) = bind_all(ANY, 3)
    assert one is two is three
    unbind(one)
