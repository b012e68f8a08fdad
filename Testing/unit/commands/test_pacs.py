"""A PACS at the command line: as input, and as the place where DICOM objects are sent."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
from argparse import Namespace
from pathlib import Path

import pytest
from pydicom import dcmread

from CovidSeverityLib.commands.pacs import store_objects
from CovidSeverityLib.errors import CancelledError, PacsError
from CovidSeverityLib.io.dicomweb.address import PASSWORD_VARIABLE, TOKEN_VARIABLE, USER_VARIABLE, PacsAddress
from Testing.small_pacs import SmallPacs, refuse

SECRET = "s3cret"
STUDY, SERIES = "2.25.7711", "2.25.7712"
IN_STUDY = {
    "StudyInstanceUID": STUDY,
    "FrameOfReferenceUID": "2.25.7713",
    "StudyDate": "20200305",
    "PatientID": "4711",
    "PatientBirthDate": "19700102",
    "PixelSpacing": [8, 8],
    "SliceThickness": 13.0,
}
OBJECTS = ["measurements.dcm", "segmentation.dcm"]
PACS = "https://pacs.example.org/dicom-web"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    for name in (USER_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            (f"https://me:{SECRET}@pacs/dicom-web", "--study", "1.2"),
            "an address of a PACS begins with dicomweb:, as in",
        ),
        ((f"dicomweb:https://me:{SECRET}@pacs/x", "--study", "1.2"), "the address of the PACS holds a user name or"),
        ((f"dicomweb:{PACS}",), "a CT of a PACS needs --study UID, its StudyInstanceUID"),
        ((f"dicomweb:{PACS}", "--study", "1.2.x"), "'1.2.x' is no StudyInstanceUID"),
        ((f"dicomweb:{PACS}", "--study", "1.2", "--series", "x"), "'x' is no SeriesInstanceUID"),
        ((".", "--study", "1.2"), "--study chooses a study of a PACS; INPUT is then dicomweb:URL"),
        ((".", "--store", f"https://me:{SECRET}@pacs/x"), "the address of the PACS holds a user name or a password"),
        ((".", "--store", PACS, "--no-dicom"), "--store sends DICOM objects, which --no-dicom leaves out"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--debug",)])
def test_what_cannot_work_is_refused_before_anything_is_done(program, tmp_path, arguments, said, options):
    status, out, err = program("analyze", *arguments, *options)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"covid-severity: {said}")
    assert SECRET not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("dicomweb:http://pacs/x", "--study", "1.2"), (".", "--store", "http://pacs/x")])
def test_credentials_for_an_open_line_are_refused_before_anything_is_done(program, tmp_path, monkeypatch, arguments):
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET)
    status, out, err = program("analyze", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("covid-severity: credentials are not sent to http://pacs/x, for everybody on the way")
    assert SECRET not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("dicomweb_client", "pacs", ("analyze", f"dicomweb:{PACS}", "--study", "1.2")),
        ("dicomweb_client", "pacs", ("classify", f"dicomweb:{PACS}", "--study", "1.2")),
        ("dicomweb_client", "pacs", ("analyze", ".", "--store", PACS)),
        ("highdicom", "dicom", ("analyze", ".", "--store", PACS)),
    ],
)
def test_missing_package_is_told_before_the_analysis(program, monkeypatch, package, extra, arguments):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else find(name))
    status, out, err = program(*arguments)
    assert (status, out) == (2, "")
    assert f'pip install "covid-severity[{extra}]"' in err


def test_pacs_that_cannot_be_reached_is_no_bad_input_and_leaves_no_folder(program, tmp_path):
    status, out, err = program("analyze", "dicomweb:http://127.0.0.1:9/dicom-web", "--study", "1.2")
    assert (status, out) == (1, "")
    assert err == "covid-severity: http://127.0.0.1:9/dicom-web cannot be reached\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def in_folder(write_series, tiny_chest, tmp_path_factory):
    """The folder of a series that can be analysed."""
    folder = tmp_path_factory.mktemp("scan") / "scan"
    write_series(folder, tiny_chest.volume.hu, lambda k: IN_STUDY, step_mm=13.0, uid=SERIES)
    return folder


@pytest.fixture(scope="module")
def analysed(program, in_folder, tmp_path_factory):
    """``(folder, run)`` of the analysis of that folder."""
    folder = tmp_path_factory.mktemp("results") / "out"
    return folder, program("analyze", in_folder, "-o", folder)


@pytest.fixture
def signed_in(orthanc, monkeypatch):
    """The real PACS, with credentials of its user in the environment."""
    monkeypatch.setenv(USER_VARIABLE, orthanc.user)
    monkeypatch.setenv(PASSWORD_VARIABLE, orthanc.password)
    return orthanc


def numbers(folder: Path):
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    del report["provenance"]["seconds"], report["input"]["name"]
    return report


@pytest.mark.slow
def test_analysis_of_a_pacs_is_that_of_the_folder_and_goes_back_to_it(
    program, signed_in, in_folder, analysed, tmp_path
):
    from dicomweb_client.web import DICOMwebClient
    from requests import Session

    from CovidSeverityLib import send_to_pacs

    send_to_pacs(in_folder.iterdir(), signed_in.url)
    run = program("analyze", f"dicomweb:{signed_in.url}", "--study", STUDY, "--store", signed_in.url)
    assert (run.status, run.err) == (0, "")
    (folder,) = tmp_path.iterdir()
    assert re.fullmatch(r"dicomweb-[0-9a-f]{8}-covid-severity", folder.name)
    assert run.out.endswith(
        f"Results are in {folder.name}\nSent to {signed_in.url}: segmentation.dcm, measurements.dcm\n"
    )
    from_folder, _ = analysed
    assert numbers(folder) == numbers(from_folder)
    for name in ("segmentation.seg.nrrd", "lobes.csv", "slices.csv", *(f"dicom/{name}" for name in OBJECTS)):
        assert (folder / name).read_bytes() == (from_folder / name).read_bytes()
    for path in folder.glob("*.*"):
        shown = path.read_bytes()
        hidden = (signed_in.password, signed_in.user, signed_in.url, STUDY, SERIES, "4711")
        assert [text for text in hidden if text.encode() in shown] == []

    session = Session()
    session.auth = (signed_in.user.encode(), signed_in.password.encode())
    client = DICOMwebClient(signed_in.url, session=session)
    for modality, name in (("SEG", "segmentation.dcm"), ("SR", "measurements.dcm")):
        (series,) = client.search_for_series(STUDY, search_filters={"Modality": modality})
        (stored,) = client.retrieve_series(STUDY, series["0020000E"]["Value"][0], (("application/dicom", "*"),))
        assert stored == dcmread(folder / "dicom" / name)


@pytest.mark.slow
def test_half_sent_result_is_told_and_stays(program, in_folder, tmp_path):
    pacs = SmallPacs([])
    pacs.faults["stow"] = [refuse(0xA700)]
    try:
        run = program("analyze", in_folder, "-o", "out", "--store", pacs.url, "--no-html")
    finally:
        pacs.close()
    assert run.status == 1
    assert run.out.endswith("Results are in out\n")
    assert run.err == (
        f"covid-severity: {pacs.url} did not take segmentation.dcm (it is out of resources, reason A700); it has "
        "measurements.dcm; all files are in out\n"
    )
    assert sorted(path.name for path in (tmp_path / "out" / "dicom").iterdir()) == OBJECTS
    assert [dataset.Modality for dataset in pacs.stored.values()] == ["SR"]


@pytest.mark.parametrize("lacking", ["", "No DICOM objects were written, because the slices share one."])
def test_result_without_dicom_objects_is_not_sent_and_fails(lacking):
    with pytest.raises(PacsError) as caught:
        store_objects(Namespace(json=False), PacsAddress(PACS), [Path("out/report.json")], Path("out"), lacking)
    reason = lacking.rstrip(".").replace("No", "no", 1) or "there are no DICOM objects, for the input is not DICOM"
    assert str(caught.value) == f"nothing was sent to {PACS}: {reason}; the results are in out"


@pytest.mark.parametrize(("options", "stream"), [({}, "out"), ({"json": True}, "err"), ({"quiet": True}, "")])
def test_what_was_sent_is_told_where_it_disturbs_nothing(write_series, chest_hu, capsys, options, stream):
    files = write_series(Path("out/dicom"), chest_hu[:1], lambda k: IN_STUDY)
    pacs = SmallPacs([])
    try:
        arguments = Namespace(**({"json": False, "quiet": False, "progress": "none"} | options))
        store_objects(arguments, PacsAddress(pacs.url), files, Path("out"), "")
    finally:
        pacs.close()
    told = capsys.readouterr()._asdict()
    assert told == {"out": "", "err": ""} | ({stream: f"Sent to {pacs.url}: 000.dcm\n"} if stream else {})


def test_user_who_stops_the_sending_is_told_where_the_objects_are(write_series, chest_hu):
    def stop(pacs, handler, path, body):
        os.kill(os.getpid(), signal.SIGINT)

    files = write_series(Path("out/dicom"), chest_hu[:2], lambda k: IN_STUDY)
    pacs = SmallPacs([])
    pacs.faults["stow"] = [stop]
    arguments = Namespace(json=False, quiet=True, progress="none")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background takes it away
    try:
        with pytest.raises(CancelledError, match=r"^stopped while .* may have some of them; all are in out$"):
            store_objects(arguments, PacsAddress(pacs.url), files, Path("out"), "")
    finally:
        signal.signal(signal.SIGINT, before)
        pacs.close()
