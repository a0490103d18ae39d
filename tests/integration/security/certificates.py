"""Certificates for tests, made by `openssl`: an authority, and a server's for one address alone."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import HOST

CONFIG = f"""
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:{HOST}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
"""The server's certificate is for the loopback address: the host name `localhost` is a wrong one."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files."""

    authority: Path
    stranger: Path
    """An authority that has signed nothing here."""
    certificate: Path
    key: Path
    both: Path
    """Key and certificate in one file, as Kafka wants them."""


def make(openssl: Path, folder: Path) -> Certificates:
    """Make them, valid for a day, with this program."""
    config = folder / "openssl.cnf"
    config.write_text(CONFIG)

    def request(name: str, *arguments: str | Path) -> Path:
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
        files = ("-config", config, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        command = [openssl, "req", "-x509", *kind, *files, "-subj", f"/CN=placestream {name}", *arguments]
        subprocess.run([str(argument) for argument in command], check=True, capture_output=True)
        return folder / f"{name}.pem"

    authority = request("authority", "-extensions", "authority")
    stranger = request("stranger", "-extensions", "authority")
    signed_by = ("-CA", authority, "-CAkey", folder / "authority.key")
    certificate = request("server", "-extensions", "server", *signed_by)
    key = folder / "server.key"
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return Certificates(authority, stranger, certificate, key, both)
