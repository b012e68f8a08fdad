"""Inputs at an address, and checksums of inputs."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.batch.fetching import fetched
from CovidSeverityLib.batch.input_digest import input_digest
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.reading import read_ct

pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture
def away(ftp, tmp_path):
    """A folder on the FTP server of this test, its address, and what is fetched from it."""
    folder = ftp.root / "away"
    folder.mkdir()

    class Away:
        root = folder
        address = f"{ftp.address}/away"
        shown = f"{ftp.shown}/away"

        @staticmethod
        def fetched(name: str) -> Path:
            (tmp_path / "here").mkdir(exist_ok=True)
            return fetched(f"{ftp.address}/away/{name}", tmp_path / "here")

    yield Away
    shutil.rmtree(folder)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_local_path_stays_as_it_is(tmp_path):
    assert fetched(str(tmp_path / "P1.nii"), tmp_path / "here") == tmp_path / "P1.nii"
    assert not (tmp_path / "here").exists()


def test_a_series_on_a_server_is_read_as_it_is_here(away, write_series, chest_hu, tmp_path):
    write_series(away.root / "P 1" / "SE1", chest_hu)
    (away.root / "P 1" / ".DS_Store").write_bytes(b"junk")
    path = away.fetched("P 1")
    assert path == tmp_path / "here" / "P 1"
    np.testing.assert_array_equal(read_ct(path).hu, chest_hu)
    (away.root / "P 1" / ".DS_Store").unlink()
    assert contents(path) == contents(away.root / "P 1")
    assert input_digest(path) == input_digest(away.root / "P 1")


@pytest.mark.parametrize("name", ["P1.mhd", "P1.nhdr", "P1.hdr", "P1.nii.gz"])
def test_an_image_comes_with_the_files_that_belong_to_it(away, chest_hu, tmp_path, name):
    image = sitk.GetImageFromArray(chest_hu)
    image.SetSpacing((6.0, 6.0, 8.8))
    sitk.WriteImage(image, str(away.root / name))
    (away.root / "other.raw").write_bytes(b"not asked for")
    path = away.fetched(name)
    assert path.name == name
    np.testing.assert_array_equal(np.sort(read_ct(path).hu, axis=None), np.sort(chest_hu, axis=None))
    assert input_digest(path) == input_digest(away.root / name)
    assert not (path.parent / "other.raw").exists()


def test_a_directory_of_a_disc_comes_with_its_disc(away, write_disc):
    write_disc(away.root / "disc", 2)
    path = away.fetched("disc/DICOMDIR")
    assert path.name == "DICOMDIR"
    assert contents(path.parent) == contents(away.root / "disc")


def test_a_member_of_an_archive_is_fetched(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("cts/P1/1.dcm", b"one")
        archive.writestr("cts/P1/._1.dcm", b"junk")
        archive.writestr("cts/P2.nii", b"two")
    path = fetched(f"zip://cts/P1::{tmp_path}/all.zip", tmp_path / "here")
    assert (path.name, contents(path)) == ("P1", {"1.dcm": b"one"})
    assert fetched(f"zip://cts/P2.nii::{tmp_path}/all.zip", tmp_path / "here").read_bytes() == b"two"


def test_a_data_file_outside_the_folder_of_its_header_is_not_fetched(away, tmp_path):
    (away.root / "in").mkdir()
    (away.root / "secret.raw").write_bytes(b"secret")
    (away.root / "in" / "P1.mhd").write_text("NDims = 3\nElementDataFile = ../secret.raw\n")
    away.fetched("in/P1.mhd")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["P1.mhd"]


def test_what_cannot_be_fetched_is_said_in_one_sentence(away, ftp):
    (away.root / "empty").mkdir()
    (away.root / "closed").mkdir()
    (away.root / "closed" / "P1.nii").touch()
    ftp.deny(away.root / "closed", "el")
    for name, said in [
        ("gone.nii", "cannot be fetched: it is not there"),
        ("empty", "is empty"),
        ("closed/P1.nii", "cannot be fetched: 550"),
    ]:
        with pytest.raises(InputError) as caught:
            away.fetched(name)
        assert str(caught.value).startswith(f"{away.shown}/{name} {said}")
        assert "s3cret" not in str(caught.value)


class Truncating(socketserver.StreamRequestHandler):
    """An HTTP server that breaks off in the middle of a file."""

    def handle(self):
        while self.rfile.readline().strip():
            pass
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nAccept-Ranges: none\r\nConnection: close\r\n\r\n"
        self.wfile.write(head + bytes(100))
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


class ShortFtp(socketserver.StreamRequestHandler):
    """An FTP server that lists a file of 1000 bytes and ends its transfer after 100."""

    def handle(self):
        answers = {"USER": "331 ok", "PASS": "230 ok", "TYPE": "200 ok", "QUIT": "221 bye"}
        self._say("220 ready")
        while line := self.rfile.readline().decode().strip():
            command = line.split()[0].upper()
            if command in ("EPSV", "PASV"):
                listening = socket.create_server(("127.0.0.1", 0))
                port = listening.getsockname()[1]
                self._say(f"229 (|||{port}|)" if command == "EPSV" else f"227 (127,0,0,1,{port >> 8},{port & 255})")
            elif command in ("MLSD", "RETR"):
                self._say("150 coming")
                data, _ = listening.accept()
                data.sendall(b"type=file;size=1000; P1.nii\r\n" if command == "MLSD" else bytes(100))
                data.close()
                listening.close()
                self._say("226 done")
            else:
                self._say(answers.get(command, "502 no"))

    def _say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


def test_a_transfer_that_ends_early_is_an_error(tmp_path):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), ShortFtp) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            with pytest.raises(InputError, match=r"P1\.nii has 100 bytes and should have 1,000"):
                fetched(f"ftp://127.0.0.1:{server.server_address[1]}/P1.nii", tmp_path)
        finally:
            server.shutdown()


# --- checksums


def test_the_checksum_of_a_file_is_that_of_its_bytes_whatever_its_name_is(tmp_path):
    for name in ("a.nii", "b.nii", "c"):
        (tmp_path / name).write_bytes(b"abc")
        assert input_digest(tmp_path / name) == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_checksum_of_a_folder_is_what_common_tools_print(files, tmp_path):
    folder = files("b/2.dcm", "a.dcm", "B.dcm", "ä ö.dcm", "b.dcm")
    for n, path in enumerate(sorted(folder.rglob("*.dcm"))):
        path.write_bytes(bytes([n]) * 1000)
    command = "find . -type f | sed 's|^./||' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    assert input_digest(folder) == done.stdout.split()[0]


def test_every_byte_and_name_counts_and_hidden_files_do_not(files):
    folder = files("P1/1.dcm", "P1/2.dcm") / "P1"
    before = input_digest(folder)
    files("P1/.DS_Store", "P1/._1.dcm", "P1/.git/x")
    assert input_digest(folder) == before
    (folder / "2.dcm").write_bytes(b"x")
    changed = input_digest(folder)
    (folder / "2.dcm").rename(folder / "3.dcm")
    renamed = input_digest(folder)
    (folder / "4.dcm").touch()
    assert len({before, changed, renamed, input_digest(folder)}) == 4
    assert input_digest(folder.rename(folder.parent / "P2")) == input_digest(folder.parent / "P2")


@pytest.mark.parametrize(("header", "data"), [("a.mhd", "a.raw"), ("a.nhdr", "a.raw"), ("a.hdr", "a.img")])
def test_the_data_of_a_header_count(tmp_path, chest_hu, header, data):
    sitk.WriteImage(sitk.GetImageFromArray(chest_hu), str(tmp_path / header))
    before = input_digest(tmp_path / header)
    with (tmp_path / data).open("r+b") as file:
        file.write(b"\x01\x02")
    assert input_digest(tmp_path / header) != before


def test_a_damaged_header_has_a_checksum_of_its_own_bytes(tmp_path):
    (tmp_path / "a.nhdr").write_bytes(b"NRRD0004\n" + b"x" * 100)
    assert input_digest(tmp_path / "a.nhdr") == hashlib.sha256(b"NRRD0004\n" + b"x" * 100).hexdigest()


def test_a_directory_of_a_disc_stands_for_its_folder(write_disc, tmp_path):
    disc = write_disc(tmp_path / "disc", 1)
    assert input_digest(disc / "DICOMDIR") == input_digest(disc)


def test_what_is_not_there_has_none(tmp_path):
    with pytest.raises(InputError, match=r"^no such file or folder: gone$"):
        input_digest(tmp_path / "gone")


@pytest.mark.skipif(os.name == "nt", reason="names are text on Windows")
def test_names_that_are_no_text_have_a_checksum(files):
    folder = files("1.dcm")
    (folder / os.fsdecode(b"\xff.dcm")).touch()
    assert len(input_digest(folder)) == 64
