"""A listening socket for whatever answers over HTTP: names, IPv4 and IPv6 addresses, and one line where it fails."""

import ipaddress
import socket

from producer.base.errors import CommandError


def listen(host: str, port: int, what: str, settings: str) -> socket.socket:
    """Take a port; with 0 any free one.

    Args:
        host: a name or an address; ``::`` answers over IPv4 as well.
        port: TCP.
        what: is to be served there.
        settings: the names of those that say where.

    Raises:
        CommandError: the address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        raise CommandError(
            f"cannot serve {what} at {host}:{port} ({settings}; 0 = any free port): {error.strerror or error}"
        ) from None
    return listening


def in_url(host: str) -> str:
    """A host as an address bar takes it: IPv6 addresses in brackets."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host
