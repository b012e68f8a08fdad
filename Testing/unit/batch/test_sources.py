"""Where the cases of a batch come from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from CovidSeverityLib.batch.sources import BatchSource, list_cases
from CovidSeverityLib.batch.values import BatchCase, CaseFailure
from CovidSeverityLib.errors import InputError

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
NO_LINKS = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
NESTED = (
    *("b/P2.nii.gz", "b/P10.nii", "c/deep/er/P3.nrrd", "P4.nhdr", "P4.raw", "P5.mha", "P6.mhd", "P7.hdr", "P7.img"),
    *("P8.img", "notes.txt", ".hidden.nii", ".cache/P9.nii", "b/P11.seg.nrrd"),
)


def ids(source: BatchSource) -> list[str]:
    return [case.case for case in source.cases]


def below(source: BatchSource, folder: Path) -> dict[str, str]:
    return {case.case: Path(case.source).relative_to(folder).as_posix() for case in source.cases}


@pytest.fixture
def collection(files, dicom_files):
    """A folder with every format, nested, and what is none of them."""
    files(*NESTED)
    return dicom_files("dcm/A/1.dcm", "dcm/A/2.dcm", "dcm/B/IM0001", "dcm/C/1.2.840.1")


IDS = ["b/P2", "b/P10", "c/deep/er/P3", "dcm/A", "dcm/B", "dcm/C", "P4", "P5", "P6", "P7", "P8"]


def test_everything_below_a_folder_is_a_case_under_its_path_in_natural_order(collection):
    found = list_cases(str(collection))
    assert ids(found) == IDS
    assert found.name == "data"
    assert (found.failures, found.remarks) == ((), ())
    assert below(found, collection)["P7"] == "P7.hdr"
    assert below(found, collection)["dcm/B"] == "dcm/B"


def test_an_id_does_not_depend_on_what_else_is_there(files):
    first = ids(list_cases(str(files("a/ct.nii"))))
    assert ids(list_cases(str(files("b/ct.nii", "ct.nii")))) == [*first, "b/ct", "ct"]


def test_images_of_one_name_in_one_folder_keep_their_endings(files, dicom_files):
    dicom_files("P1/1.dcm")
    found = list_cases(str(files("P1.nii", "P1.mha", "P2.nii.gz", "P2.nii.gz.mha")))
    assert ids(found) == ["P1", "P1.mha", "P1.nii", "P2", "P2.nii.gz.mha"]


def test_a_folder_that_is_a_ct_and_a_single_file_are_one_case(dicom_files, files):
    folder = dicom_files("1.dcm", "2.dcm", folder="P7")
    assert list_cases(str(folder)).cases == (BatchCase("P7", str(folder)),)
    path = files("P8.nii.gz") / "P8.nii.gz"
    assert list_cases(str(path)) == BatchSource("P8.nii.gz", (BatchCase("P8", str(path)),))
    assert list_cases(str(folder / "1.dcm")).cases == (BatchCase("1", str(folder / "1.dcm")),)


def test_archives_with_a_ct_are_cases(files, dicom_files, tmp_path):
    folder = files("P2.nii")
    shutil.make_archive(str(folder / "P1"), "zip", dicom_files("1.dcm", folder="inside"))
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        archive.writestr("a.png", "hello")
    assert below(list_cases(str(folder)), folder) == {"P1": "P1.zip", "P2": "P2.nii"}


def test_a_disc_of_one_study_is_one_case_also_by_its_directory(write_disc, tmp_path, files):
    write_disc(tmp_path / "data" / "disc", 3)
    files("disc/viewer.exe", "disc/readme.txt", "P1.nii")
    assert below(list_cases(str(tmp_path / "data")), tmp_path / "data") == {"disc": "disc", "P1": "P1.nii"}
    for path in (tmp_path / "data" / "disc", tmp_path / "data" / "disc" / "DICOMDIR"):
        assert ids(list_cases(str(path))) == ["disc"]


def test_each_study_of_a_disc_is_a_case(write_disc, tmp_path):
    disc = write_disc(tmp_path / "disc", 2, 1, 3)
    found = list_cases(str(disc))
    assert found.failures == ()
    assert len(found.cases) == 3
    held = [sorted(file.name for file in Path(case.source).rglob("*") if file.is_file()) for case in found.cases]
    assert sorted(map(len, held)) == [1, 2, 3]


def test_what_lies_on_a_disc_beside_its_study_is_not_lost(write_disc, dicom_files, tmp_path):
    write_disc(tmp_path / "data", 2)
    folder = dicom_files("other/1.dcm")
    found = list_cases(str(folder))
    assert len(found.cases) == 2
    assert "other" in ids(found)


def test_a_folder_that_two_studies_share_is_a_failure(write_disc, tmp_path):
    from pydicom import dcmread

    disc = write_disc(tmp_path / "data" / "disc", 1, 1)
    directory, first = dcmread(disc / "DICOMDIR"), None
    for record in directory.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            old = list(record.ReferencedFileID)
            first = first or old
            record.ReferencedFileID = [*first[:-1], f"IM{old[0][2:]}"]  # as long as before, for links are offsets
            disc.joinpath(*old).rename(disc.joinpath(*record.ReferencedFileID))
    directory.save_as(disc / "DICOMDIR")
    found = list_cases(str(tmp_path / "data"))
    assert found.cases == ()
    assert [(failure.case, failure.kind) for failure in found.failures] == [("/".join(["disc", *first[:-1]]), "input")]
    assert "2 studies" in found.failures[0].reason


def test_a_damaged_directory_changes_nothing(write_disc, tmp_path):
    disc = write_disc(tmp_path / "disc", 2)
    whole = (disc / "DICOMDIR").read_bytes()
    for content in (b"", whole[:400], whole[: len(whole) // 2], whole[:-10], b"garbage" * 100):
        (disc / "DICOMDIR").write_bytes(content)
        assert len(list_cases(str(disc)).cases) == 2


def test_dicom_files_beside_folders_with_further_ones_are_not_read_twice(dicom_files):
    folder = dicom_files("P1/1.dcm", "P2/scout.dcm", "P2/SE1/1.dcm", "stray")
    found = list_cases(str(folder))
    assert below(found, folder) == {"P1": "P1", "P2/scout": "P2/scout.dcm", "P2/SE1": "P2/SE1", "stray": "stray"}
    dicom_files("P2/scout2.dcm")
    found = list_cases(str(folder))
    assert ids(found) == ["P1", "P2/SE1", "stray"]
    assert [failure.case for failure in found.failures] == ["P2"]
    assert "would be read together" in found.failures[0].reason


def test_results_of_an_earlier_run_are_no_cases(dicom_files, files):
    dicom_files("P1/1.dcm", *(f"out/cases/P1/dicom/{name}.dcm" for name in ("segmentation", "measurements", "report")))
    folder = files("out/cases/P1/report.json", "out/cases/P1/segmentation.seg.nrrd", "out/cases/P1/case.json")
    assert ids(list_cases(str(folder))) == ["P1"]


def test_a_ct_with_its_results_beside_it_is_still_one(dicom_files, files):
    dicom_files("P1/dicom/1.dcm", "P2/1.dcm", "P2/dicom/report.dcm")
    folder = files("P1/report.json", "P2/report.json")
    assert ids(list_cases(str(folder))) == ["P1/dicom", "P2"]


@NO_LINKS
def test_circles_of_links_end_and_dead_links_are_cases_that_will_say_so(files):
    folder = files("a/P1.nii")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "P2.nii.gz").symlink_to("nowhere")
    (folder / "note").symlink_to("nowhere")
    assert ids(list_cases(str(folder))) == ["a/P1", "P2"]


UNREADABLE = """
import ctypes, os, sys
from CovidSeverityLib.batch.sources import list_cases

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
found = list_cases(sys.argv[1])
print([case.case for case in found.cases], [(f.case, f.kind, f.reason) for f in found.failures])
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such permissions here")
@pytest.mark.slow
def test_a_folder_that_cannot_be_listed_is_a_failure_and_the_rest_is_found(files, tmp_path):
    folder = files("a/P1.nii", "closed/P2.nii", "z/P3.nii")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)
    (folder / "closed").chmod(0)
    try:
        command = [sys.executable, "-c", UNREADABLE, str(folder)]
        done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    finally:
        (folder / "closed").chmod(0o700)
    reason = "the folder closed cannot be listed: Permission denied"
    assert done.stdout.strip() == f"['a/P1', 'z/P3'] [('closed', 'input', '{reason}')]", done.stderr


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "no such file"), ("empty", "empty holds no CT"), ("x" * 300, "xxx")]
)
def test_what_is_no_source_is_refused(tmp_path, name, said):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=said):
        list_cases(str(tmp_path / name))


# --- tables


@pytest.fixture
def table(files):
    """``table(text)``: a CSV beside three images and a mask."""
    folder = files("a/P1.nii.gz", "b/P1.nii.gz", "P3.nii.gz", "m/P1.nii.gz")

    def write(content: str | bytes) -> str:
        content = content if isinstance(content, bytes) else content.encode()
        (folder / "list.csv").write_bytes(content)
        return str(folder / "list.csv")

    return write


def test_a_table_names_cases_with_what_belongs_to_them(table, tmp_path):
    data = tmp_path / "data"
    found = list_cases(
        table(f"path,id,lungs,lobes,series\na/P1.nii.gz,first,m/P1.nii.gz,,\n{data}/P3.nii.gz,,,m/P1.nii.gz,1.2.3\n")
    )
    assert found == BatchSource(
        "list.csv",
        (
            BatchCase("first", str(data / "a/P1.nii.gz"), lungs=str(data / "m/P1.nii.gz")),
            BatchCase("P3", str(data / "P3.nii.gz"), lobes=str(data / "m/P1.nii.gz"), series="1.2.3"),
        ),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfPath;ID\r\na/P1.nii.gz;P 1\r\n",
        "path\tid\na/P1.nii.gz\tP 1\n",
        'id,path\n"P 1","a/P1.nii.gz"\n',
    ],
)
def test_tables_of_every_spreadsheet_are_read(table, content):
    assert ids(list_cases(table(content))) == ["P 1"]


def test_rows_whose_files_are_not_there_are_failures_of_their_own(table):
    found = list_cases(table("path,id,lungs\nP3.nii.gz,ok,\ngone.nii,g,\nP3.nii.gz,m,gone/lungs.nii\n,e,\n"))
    assert ids(found) == ["ok"]
    assert found.failures == (
        CaseFailure("g", "input", "no such file or folder: gone.nii"),
        CaseFailure("m", "input", "no such lungs mask: lungs.nii"),
        CaseFailure("e", "input", "the row names no path"),
    )


def test_other_columns_are_named_in_a_remark(table):
    found = list_cases(table("path,lung,age\nP3.nii.gz,x,70\n"))
    assert ids(found) == ["P3"]
    assert found.remarks == (
        "list.csv: the columns lung, age are not used; known are path, id, lungs, lobes, series.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("path,id\na/P1.nii.gz,P1\nP3.nii.gz,x\nb/P1.nii.gz,P1\n", "line 4: the id P1 is that of line 2 as well"),
        ("path\na/P1.nii.gz\nb/P1.nii.gz\n", "line 3: the file has the name P1, which line 2 has as well"),
        ("a/P1.nii.gz\nb/P1.nii.gz\n", "no column path"),
        ("id\nP1\n", "no column path"),
        ("path,Path\na,b\n", "2 columns path"),
        ("path\na/P1.nii.gz,b,c\n", "3 values for 1 columns"),
        ("path\n", "has no rows"),
        ("", "has no rows"),
        ("path,id,lungs\n,,m\n", "line 2: the row has neither a path nor an id"),
        (b"path\n\xff\xfe\xfa\n", "not UTF-8"),
        (b"PK\x03\x04", "spreadsheet"),
        ('path\n"a\n', "quotation mark"),
    ],
)
def test_a_table_that_is_none_ends_with_the_reason(table, content, said):
    with pytest.raises(InputError, match=r"list\.csv") as caught:
        list_cases(table(content))
    assert said in str(caught.value)


# --- addresses


@pytest.fixture
def on_ftp(collection, ftp, write_disc):
    """The collection and a disc on an FTP server."""
    write_disc(collection / "disc", 2)
    shutil.copytree(collection, ftp.root / "cts", dirs_exist_ok=True)
    yield f"{ftp.address}/cts"
    shutil.rmtree(ftp.root / "cts")


def test_a_folder_on_a_server_has_the_cases_that_it_has_here(on_ftp, collection, ftp):
    found = list_cases(on_ftp)
    assert ids(found) == ids(list_cases(str(collection)))
    assert "disc" in ids(found)
    assert found.name == "cts"
    assert {case.case: case.source for case in found.cases}["dcm/B"] == f"{ftp.address}/cts/dcm/B"
    assert ftp.address not in repr(found)


def test_a_table_on_a_server_names_what_is_beside_it(ftp):
    (ftp.root / "lists").mkdir()
    (ftp.root / "lists" / "all.csv").write_text("path,id\n../cts/P1.nii,\ns3://bucket/P2.nii,two\n")
    found = list_cases(f"{ftp.address}/lists/all.csv")
    assert [(case.case, case.source) for case in found.cases] == [
        ("P1", f"{ftp.address}/cts/P1.nii"),
        ("two", "s3://bucket/P2.nii"),
    ]


def test_a_folder_that_the_server_does_not_list_is_a_failure(ftp):
    (ftp.root / "closing" / "closed").mkdir(parents=True)
    (ftp.root / "closing" / "P1.nii").touch()
    ftp.deny(ftp.root / "closing" / "closed", "e")
    found = list_cases(f"{ftp.address}/closing")
    assert ids(found) == ["P1"]
    reason = f"{ftp.shown}/closing/closed cannot be listed: access is denied (550 Not enough privileges.)"
    assert found.failures == (CaseFailure("closed", "input", reason),)


def test_a_local_folder_by_its_address_and_one_in_an_archive(collection, tmp_path):
    expected = ids(list_cases(str(collection)))
    assert ids(list_cases(f"file://{collection}")) == expected
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "data")
    assert ids(list_cases(f"zip://data::{tmp_path}/all.zip")) == expected
    whole = list_cases(f"zip://::{tmp_path}/all.zip")
    assert ids(whole) == [f"data/{case}" for case in expected]
    assert whole.name == "all.zip"
    assert whole.cases[0].source == f"zip://data/b/P2.nii.gz::{tmp_path}/all.zip"


def test_one_file_at_an_address_is_one_case(collection):
    assert list_cases(f"file://{collection}/b/P2.nii.gz").cases == (
        BatchCase("P2", f"file://{collection}/b/P2.nii.gz"),
    )  # fmt: skip


def test_a_path_that_leads_out_of_an_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a/../../../etc/x.nii", "hello")
    with pytest.raises(InputError, match="leads out of it"):
        list_cases(f"zip://::{tmp_path}/bad.zip")


def test_what_cannot_be_reached_is_said_without_credentials(ftp):
    for address, said in [
        (f"{ftp.address}/nothing", f"{ftp.shown}/nothing cannot be read: it is not there"),
        (ftp.address.replace("s3cret-word", "wr0ng") + "/cts", f"{ftp.shown}/cts cannot be read: 530"),
        ("ftp://jane:s3cret-word@127.0.0.1:9/cts", "ftp://127.0.0.1:9/cts cannot be read: Connection refused"),
        ("gopher://jane:s3cret-word@host/cts", "gopher://host/cts has a protocol that fsspec does not know"),
        ("zip://a::/nowhere/b.zip", "zip://a::/nowhere/b.zip cannot be read: it is not there"),
    ]:
        with pytest.raises(InputError) as caught:
            list_cases(address)
        assert said in str(caught.value)
        assert not any(secret in str(caught.value) for secret in ("s3cret-word", "wr0ng", "reader", "jane"))


@pytest.mark.skipif(find_spec("gcsfs") is not None, reason="the package is there")
def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(InputError, match=r"^gs:// addresses need a package: pip install gcsfs$"):
        list_cases("gs://bucket/cts")
