"""A real FTP server, and a disc."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian

USER, PASSWORD = "reader", "s3cret-word"
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


@dataclass
class FtpServer:
    """A running server: its folder, and its address with and without credentials."""

    root: Path
    port: int
    authorizer: Any

    def deny(self, folder: Path, perm: str) -> None:
        """Leave some permissions on a folder, which may not exist: e to enter, r to read, w to write, l to list."""
        self.authorizer.override_perm(USER, str(folder), perm, recursive=True)

    @property
    def address(self) -> str:
        return f"ftp://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def shown(self) -> str:
        return f"ftp://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def ftp(tmp_path_factory) -> Iterator[FtpServer]:
    """A server of the package pyftpdlib on this computer, for one user who may read and write."""
    pytest.importorskip("pyftpdlib", reason="pyftpdlib is not installed")
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it has its own copy of asyncore
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import ThreadedFTPServer
    root = tmp_path_factory.mktemp("ftp")
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(root), perm="elradfmwMT")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, "auth_failed_timeout": 0})
    server = ThreadedFTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"handle_exit": False, "timeout": 0.05}, daemon=True)
    thread.start()
    yield FtpServer(root, server.socket.getsockname()[1], authorizer)
    server.close_all()
    thread.join(10)


@pytest.fixture
def write_disc() -> Callable[..., Path]:
    """``write_disc(folder, *studies)``: a disc with a real DICOMDIR, as pydicom writes it, of that many series each."""

    def write(folder: Path, *studies: int) -> Path:
        medium = FileSet()
        for study, count in enumerate(studies, 1):
            for series in range(1, count + 1):
                medium.add(_header(study, series))
        medium.write(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its temporary folder to the collector
            del medium
            gc.collect()
        return folder

    return write


def _header(study: int, series: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CT_CLASS
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{study}.{series}.1"
    dataset.PatientID, dataset.PatientName, dataset.AccessionNumber = f"X{study}", "Doe^Jane", ""
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20200101", "000000", str(study)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"2.25.{study}", f"2.25.{study}.{series}"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.Modality = series, 1, "CT"
    return dataset
