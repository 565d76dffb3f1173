"""The texts that name job servers."""

import pytest

from gearcore.address import Address, UnixAddress, parse_address, parse_servers


@pytest.mark.parametrize(
    ("server", "address", "text"),
    [
        ("127.0.0.1:4731", ("127.0.0.1", 4731), "127.0.0.1:4731"),
        ("job.example", ("job.example", 4730), "job.example:4730"),
        ("[::1]:4731", ("::1", 4731), "[::1]:4731"),
        ("[::1]", ("::1", 4730), "[::1]:4730"),
        ("fe80::1%eth0", ("fe80::1%eth0", 4730), "[fe80::1%eth0]:4730"),
        (("::1", 4731), ("::1", 4731), "[::1]:4731"),
        ("unix:/run/gearman.sock", UnixAddress("/run/gearman.sock"), "unix:/run/gearman.sock"),
        (UnixAddress("/run/gearman.sock"), UnixAddress("/run/gearman.sock"), "unix:/run/gearman.sock"),
    ],
)
def test_addresses(server, address, text):
    assert parse_address(server) == address
    assert str(parse_address(server)) == text


@pytest.mark.parametrize(
    "server",
    ["", ":4730", "h:port", "h:0", "h:65536", "h:-1", "[::1", "[::1]4730", "[::1]x:1", ("h", 0), "unix:"],
)
def test_bad_addresses(server):
    with pytest.raises(ValueError, match="is not the address of a server"):
        parse_address(server)


@pytest.mark.parametrize(
    ("servers", "addresses"),
    [
        ("h", [("h", 4730)]),
        (("h", 1), [("h", 1)]),
        (Address("h", 1), [("h", 1)]),
        (UnixAddress("/x"), [UnixAddress("/x")]),
        (["h", "h:4730", ("h", 1), "unix:/x"], [("h", 4730), ("h", 1), UnixAddress("/x")]),
        (("a", "b"), [("a", 4730), ("b", 4730)]),
    ],
)
def test_one_server_or_several(servers, addresses):
    assert parse_servers(servers) == tuple(addresses)


def test_no_server():
    with pytest.raises(ValueError, match="at least one server"):
        parse_servers([])
