"""A real server on loopback that answers as no server should: each connection is handed to a script of raw bytes."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

END_SECONDS = 20.0


@dataclass(frozen=True)
class Conversation:
    """One request. `number` counts the requests that the server has had, from 1."""

    connection: socket.socket
    request: str
    number: int
    over: threading.Event

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.connection.sendall(data)

    def answer(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        """Send a whole answer, as a good server does."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def hold(self) -> None:
        """Say nothing until the server ends."""
        self.over.wait()

    def trickle(self, data: bytes) -> None:
        """Repeat `data` a byte at a time, each well within any timeout for one read, until somebody gives up."""
        while True:
            for byte in data:
                if self.over.wait(0.02):
                    return
                self.send(bytes([byte]))

    def flood(self, data: bytes) -> None:
        """Repeat `data` as fast as it is taken, until somebody gives up."""
        while not self.over.is_set():
            self.send(data)


Script = Callable[[Conversation], None]


@dataclass
class Hostile:
    """The server: where it is, and what it was asked."""

    port: int
    scheme: str
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def hostile(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Hostile]:
    """A server that plays `script` for each request; it, its threads and its connections end with the block."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Hostile(listening.getsockname()[1], "https" if tls else "http")

        def converse(plain: socket.socket) -> None:
            # The client hangs up in the middle of most of these conversations: that is the point of them.
            with contextlib.suppress(OSError), tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
                while request := _request(connection):
                    server.requests.append(request)
                    script(Conversation(connection, request, len(server.requests), over))
                    if "connection: close" in request.lower():
                        break

        def accept() -> None:
            while True:
                with contextlib.suppress(OSError):
                    connection, _ = listening.accept()
                    if over.is_set():
                        connection.close()
                        return
                    connections.append(connection)
                    threads.append(threading.Thread(target=converse, args=(connection,), daemon=True))
                    threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", server.port)).close()
            accepting.join(END_SECONDS)
            for connection in connections:
                with contextlib.suppress(OSError):  # closed already
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(END_SECONDS)
                assert not thread.is_alive(), "a conversation did not end"


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _request(connection: socket.socket) -> str:
    """A request's head, and its body where its length is given; empty when the client has hung up."""
    received = b""
    while b"\r\n\r\n" not in received and not received.startswith(b"\x16"):  # a TLS greeting has no such end
        data = connection.recv(65_536)
        if not data:
            return ""
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65_536)
    return (head + b"\r\n\r\n" + body).decode("latin-1")


@dataclass(frozen=True)
class Authority:
    """A certificate authority for one test, whose certificate stands in `file`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @classmethod
    def create(cls, folder: Path) -> Authority:
        """A new authority in `folder`."""
        authority = cls(folder, ec.generate_private_key(ec.SECP256R1()), _named("test authority"))
        certificate = authority._signed(
            authority.name, authority.key, dt.timedelta(days=30), x509.BasicConstraints(ca=True, path_length=None)
        )
        authority.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def file(self) -> Path:
        """The authority's own certificate, as PEM."""
        return self.folder / "authority.pem"

    def server(self, left: dt.timedelta, host: str = "127.0.0.1") -> ssl.SSLContext:
        """TLS for a server whose certificate is for `host` and is valid for `left` more: less than nothing is expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        certificate = self._signed(_named("server"), key, left, x509.SubjectAlternativeName([name]))
        chain = self.folder / "server.pem"
        chain.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, left: dt.timedelta, extension: x509.ExtensionType
    ) -> x509.Certificate:
        expires = dt.datetime.now(dt.UTC) + left
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(expires - dt.timedelta(days=90))
            .not_valid_after(expires)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self.key, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
