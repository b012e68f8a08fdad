"""Real servers of other protocols: S3 and SFTP. Each test is skipped where the packages of its server are absent."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from CovidSeverityLib.batch.destination import destination_of
from CovidSeverityLib.batch.fetching import fetched
from CovidSeverityLib.batch.input_digest import input_digest
from CovidSeverityLib.batch.remote import drop_connections
from CovidSeverityLib.batch.sources import list_cases
from CovidSeverityLib.errors import InputError, OutputError
from CovidSeverityLib.reporting.output_folder import write_together

pytestmark = pytest.mark.slow
KEY, PASSWORD = "AKIAKEYKEY", "s3cret-word"


def needs(*packages: str) -> None:
    absent = [package for package in packages if importlib.util.find_spec(package) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> Iterator[str]:
    """A bucket on a server of the package moto."""
    needs("moto", "flask", "s3fs")
    import botocore.session
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        botocore.session.get_session().create_client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket/study"
    server.stop()


@pytest.fixture(scope="module")
def sftp(tmp_path_factory) -> Iterator[str]:
    """A folder on a server of the package asyncssh."""
    needs("asyncssh", "paramiko")
    root = tmp_path_factory.mktemp("sftp")
    port, stop, ready = _free_port(), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve_sftp(root, port, ready, stop)), daemon=True)
    thread.start()
    assert ready.wait(20)
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        (home / ".ssh").mkdir()
        known = (root.parent / f"{root.name}.pub").read_text()
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}")
        yield f"sftp://reader:{PASSWORD}@127.0.0.1:{port}/study"
    drop_connections()
    stop.set()
    thread.join(20)


async def _serve_sftp(root: Path, port: int, ready: threading.Event, stop: threading.Event) -> None:
    import asyncssh

    connections = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn):
            connections.append(conn)

        def begin_auth(self, username):
            return True

        def password_auth_supported(self):
            return True

        def validate_password(self, username, password):
            return (username, password) == ("reader", PASSWORD)

    key = asyncssh.generate_private_key("ssh-ed25519")
    (root.parent / f"{root.name}.pub").write_bytes(key.export_public_key())
    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        port,
        server_host_keys=[key],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root)),
    )
    ready.set()
    while not stop.is_set():
        await asyncio.sleep(0.05)
    for connection in connections:
        connection.abort()
    server.close()
    await server.wait_closed()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(destination, name: str, **files: bytes) -> None:
    with destination.case_folder(name) as folder:
        write_together(folder, {file: (lambda path, data=data: path.write_bytes(data)) for file, data in files.items()})


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_cases_are_listed_fetched_and_written(request, kind, tmp_path):
    address = request.getfixturevalue(kind)
    destination = destination_of(address)
    destination.check(["cases.csv"])
    dicom = bytes(128) + b"DICM" + b"x" * 1000
    write(destination, "P 1", **{"1.dcm": dicom, "SE2/2.dcm": dicom, "case.json": b"{}"})
    write(destination, "P\u00e4 2", **{"IM0001": dicom, "case.json": b"{}"})
    write(destination, "P3", **{"P3.nii.gz": b"1", "case.json": b"{}"})
    destination.publish({"cases.csv": lambda path: path.write_text("path,id\ncases/P3/P3.nii.gz,three\n")})
    assert destination.read("cases/P3/case.json") == b"{}"
    assert destination.size("cases/P 1/SE2/2.dcm") == len(dicom)
    assert destination.size("cases/P 1") is None
    assert destination.size("cases/P9/case.json") is None
    with pytest.raises(FileNotFoundError):
        destination.read("cases/P9/case.json")

    found = list_cases(f"{address}/cases")
    assert [case.case for case in found.cases] == ["P3/P3", "P 1/1", "P 1/SE2", "P\u00e4 2"]
    assert found.failures == ()
    (three,) = list_cases(f"{address}/cases.csv").cases
    assert fetched(three.source, tmp_path / "three").read_bytes() == b"1"
    path = fetched(found.cases[-1].source, tmp_path / "four")
    assert (path / "IM0001").read_bytes() == dicom
    assert len(input_digest(path)) == 64

    write(destination, "P3", **{"case.json": b"{2}"})
    assert destination.read("cases/P3/case.json") == b"{2}"
    assert destination.size("cases/P3/P3.nii.gz") is None
    with pytest.raises(InputError, match=r"cannot be fetched: it is not there$"):
        fetched(three.source, tmp_path / "five")


def test_a_bucket_that_is_not_there_is_refused_and_not_made(s3):
    with pytest.raises(OutputError) as caught:
        destination_of("s3://nobucket/out").check()
    assert "s3://nobucket/out cannot be written to: it is not there" in str(caught.value)
    with pytest.raises(InputError, match=r"^s3://nobucket/cts cannot be read: it is not there$"):
        list_cases("s3://nobucket/cts")


def test_a_server_that_is_not_known_gets_no_password(sftp, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    unknown = r"its ssh-ed25519 key is not the one of \[127\.0\.0\.1\]:\d+ in ~|Host key is not trusted"  # or by sshfs
    with pytest.raises(InputError, match=f"cannot be read: ({unknown})"):
        list_cases(sftp)
    with pytest.raises(OutputError, match=f"cannot be written to: ({unknown})"):
        destination_of(sftp).check()


def test_a_wrong_password_is_said_without_it(sftp):
    with pytest.raises(InputError) as caught:
        list_cases(sftp.replace(PASSWORD, "wr0ng-word"))
    assert any(f"cannot be read: {reason}" in str(caught.value) for reason in ("Authentication failed", "access is"))
    assert not any(word in str(caught.value) for word in ("wr0ng", "reader"))
