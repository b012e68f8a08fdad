"""Downloads over HTTP from a server of this machine that breaks, changes and lies as real ones do."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import CovidSeverityLib
from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.store import download
from CovidSeverityLib.classification.store.catalogue import (
    CLASSIFIER_FILE,
    LUNGS,
    ModelEntry,
    known_models,
    write_manifest,
)
from CovidSeverityLib.classification.store.download import discard_download, download_model, kept_bytes
from CovidSeverityLib.classification.store.installed import (
    installed_classifiers,
    installed_weights,
    models_folder,
    resolve,
)
from CovidSeverityLib.errors import DownloadError, InputError, OutputError
from Testing.data_files import assert_described

CONTENT = np.random.default_rng(5).bytes(1_000_003)
HALF, THIRD = 8 * download.CHUNK_BYTES, 5 * download.CHUNK_BYTES
SUM = hashlib.sha256(CONTENT).hexdigest()
SECRET = "token=abc"


class Site:
    """A web server with one file, and what it is to do wrong."""

    def __init__(self):
        self.content, self.ranges, self.tag = CONTENT, True, '"one"'
        self.statuses, self.stops, self.length, self.location = [], [], True, None
        self.pause_s, self.shift, self.sent = 0.0, 0, 0
        self.asked = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/models/weights.hdf5?{SECRET}"

    def entry(self, **changes):
        facts = {
            "title": "A model of a hospital",
            "licence": "CC0-1.0",
            "url": self.url,
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "size_bytes": len(CONTENT),
        }
        return ModelEntry(name="ours", network=NetworkDescription(), **{**facts, **changes})

    def answer(self, handler):
        asked = {name: handler.headers.get(name) for name in ("Range", "If-Range", "Accept-Encoding")}
        self.asked.append(asked)
        status = self.statuses.pop(0) if self.statuses else 200
        if status != 200:
            handler.send_response(status)
            if self.location:
                handler.send_header("Location", self.location)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        first, body = 0, self.content
        if self.ranges and asked["Range"] and asked["If-Range"] in (None, self.tag):
            first = int(asked["Range"].removeprefix("bytes=").removesuffix("-"))
            body = self.content[first:]
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header(
                "Content-Range", f"bytes {first + self.shift}-{len(self.content) - 1}/{len(self.content)}"
            )
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        if self.tag:
            handler.send_header("ETag", self.tag)
        handler.end_headers()
        self.send(handler, body[: self.stops.pop(0)] if self.stops else body)

    def send(self, handler, body):
        """Slowly, where a pause is asked for; then the connection is closed, whether all was sent or not."""
        with contextlib.suppress(ConnectionError):  # the other side has heard enough
            for start in range(0, len(body), 1 << 15):
                handler.wfile.write(body[start : start + (1 << 15)])
                self.sent = start
                time.sleep(self.pause_s)
        handler.close_connection = True


@pytest.fixture
def site():
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(autouse=True)
def _own_folder_and_no_pauses(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(download, "BACKOFF_S", 0.0)


def left():
    """Names of all that is in the folder of models."""
    return sorted(path.name for path in models_folder().iterdir())


def test_download_is_placed_with_what_is_known_of_it(site):
    seen = []
    model = download_model(site.entry(), progress=lambda *call: seen.append(call))
    assert model.path.read_bytes() == CONTENT
    assert left() == ["ours"]
    assert sorted(path.name for path in model.path.parent.iterdir()) == ["entry.json", CLASSIFIER_FILE]
    assert_described(model.path.parent, "models download")
    assert resolve("ours").entry == site.entry()
    assert site.asked == [{"Range": None, "If-Range": None, "Accept-Encoding": "identity"}]
    assert {stage for stage, _, _ in seen} == {"download"}
    assert seen[-1] == ("download", len(CONTENT), len(CONTENT))
    assert 10 < len(seen) <= download.PROGRESS_STEPS + 1
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})


def test_broken_connection_goes_on_from_where_it_broke(site):
    site.stops = [HALF, THIRD]
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    ranges = [asked["Range"] for asked in site.asked]
    assert ranges == [None, f"bytes={HALF}-", f"bytes={HALF + THIRD}-"]
    assert [asked["If-Range"] for asked in site.asked] == [None, '"one"', '"one"']


def test_end_without_an_announced_length_is_a_break_too(site):
    site.length, site.stops = False, [HALF]
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_next_call_goes_on_from_what_an_earlier_one_left(site):
    site.stops = [HALF] + [0] * 20
    with pytest.raises(DownloadError, match=r"breaks again and again; 0\.5 of 1\.0 MB of the model ours are kept"):
        download_model(site.entry())
    assert left() == [".ours.part", ".ours.part.json"]
    assert kept_bytes(site.entry()) == HALF
    assert len(site.asked) == 1 + download.TRIES
    site.stops, site.asked = [], []
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    assert [asked["Range"] for asked in site.asked] == [f"bytes={HALF}-"]
    assert left() == ["ours"]


def test_server_without_ranges_starts_anew(site):
    site.ranges, site.stops = False, [HALF]
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_server_that_breaks_at_the_same_place_every_time_is_given_up(site):
    site.ranges, site.stops = False, [HALF] * 20
    with pytest.raises(DownloadError, match="breaks again and again"):
        download_model(site.entry())
    assert len(site.asked) == 1 + download.TRIES


def test_file_that_changed_between_is_not_glued(site):
    old = bytes(len(CONTENT))
    site.content, site.tag, site.stops = old, '"zero"', [HALF] + [0] * 20
    with pytest.raises(DownloadError):
        download_model(site.entry())
    site.content, site.tag, site.stops = CONTENT, '"one"', []
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    assert site.asked[-1] == {"Range": f"bytes={HALF}-", "If-Range": '"zero"', "Accept-Encoding": "identity"}


@pytest.mark.parametrize("tag", [None, 'W/"one"'])
def test_without_a_version_to_rely_on_everything_is_fetched_anew(site, tag):
    site.tag, site.stops = tag, [HALF]
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    assert [asked["Range"] for asked in site.asked] == [None, None]


def test_part_of_another_file_is_not_gone_on_with(site):
    site.stops = [HALF] + [0] * 20
    with pytest.raises(DownloadError):
        download_model(site.entry(sha256="0" * 64))
    assert kept_bytes(site.entry(sha256="0" * 64)) == HALF
    assert kept_bytes(site.entry()) == 0
    site.stops = []
    assert download_model(site.entry()).path.read_bytes() == CONTENT


def test_trouble_of_the_server_passes(site):
    site.statuses = [500, 503, 429]
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    assert len(site.asked) == 4


def test_lasting_trouble_of_the_server_is_told_without_what_may_be_secret(site):
    site.statuses = [500] * 50
    with pytest.raises(DownloadError, match="answers 500 Internal Server Error, again and again") as told:
        download_model(site.entry())
    assert len(site.asked) == download.TRIES
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("status", [404, 403])
def test_address_that_is_out_of_date_is_told_at_once(site, status):
    site.statuses = [status] * 50
    with pytest.raises(InputError, match=rf"weights\.hdf5 answers {status} .* address of the model ours is wrong"):
        download_model(site.entry())
    assert len(site.asked) == 1
    assert left() == []


def test_wrong_checksum_throws_the_file_away_and_tells_both_sums(site):
    site.content = CONTENT[:-1] + b"x"
    got, wanted = (hashlib.sha256(c).hexdigest() for c in (site.content, CONTENT))
    with pytest.raises(InputError, match=f"weights.hdf5 sent is not the model ours: .* {got}, expected {wanted}"):
        download_model(site.entry())
    assert left() == []


@pytest.mark.parametrize("change", [b"", b"more"])
def test_file_of_another_size_is_refused_before_it_is_fetched(site, change):
    site.content = CONTENT + change if change else CONTENT[:-4]
    with pytest.raises(InputError, match=f"sends {len(site.content)} bytes; the model ours has {len(CONTENT)}"):
        download_model(site.entry())
    assert left() == []


def test_server_that_does_not_stop_sending_is_stopped(site):
    site.length, site.content = False, CONTENT + bytes(100_000_000)
    with pytest.raises(InputError, match=f"sends more than {len(CONTENT)} bytes"):
        download_model(site.entry())
    assert left() == []
    assert site.sent < 50_000_000


@pytest.mark.parametrize(("more", "shift"), [(4, 0), (0, -1)])
def test_other_bytes_than_were_asked_for_are_refused(site, more, shift):
    site.stops = [HALF] + [0] * 20
    with pytest.raises(DownloadError):
        download_model(site.entry())
    site.content, site.shift, site.stops = CONTENT + bytes(more), shift, []
    first, total = HALF + shift, len(CONTENT) + more
    with pytest.raises(
        InputError, match=rf"sends bytes {first}-\d+ of {total} where those from {HALF} of {len(CONTENT)}"
    ):
        download_model(site.entry())
    assert left() == []


def test_range_that_the_server_cannot_satisfy_starts_anew(site):
    site.stops = [HALF] + [0] * 20
    with pytest.raises(DownloadError):
        download_model(site.entry())
    site.stops, site.statuses = [], [416]
    assert download_model(site.entry()).path.read_bytes() == CONTENT


def test_not_enough_space_is_told_before_anything_is_fetched(site):
    with pytest.raises(OutputError, match=r"not enough space for the model ours .* 1,000,000,067 MB are needed"):
        download_model(site.entry(size_bytes=10**15))
    assert site.asked == []


def test_server_that_is_not_there_is_told(site):
    site.server.server_close()
    with pytest.raises(DownloadError, match=r"weights\.hdf5 cannot be reached$"):
        download_model(site.entry())


def test_redirection_to_plain_http_elsewhere_is_refused(site):
    site.statuses, site.location = [302], "http://127.0.0.2/x"
    with pytest.raises(InputError, match=r"weights\.hdf5 leads to http://127\.0\.0\.2/x, which is not https"):
        download_model(site.entry())


def test_redirection_on_this_machine_is_followed(site):
    site.statuses, site.location = [302], f"http://localhost:{site.server.server_port}/x"
    assert download_model(site.entry()).path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sha256": None}, "its checksum is not known"),
        ({"licence": None}, "its licence is not known"),
        ({"url": None, "size_bytes": None}, "its address and size are not known"),
    ],
)
def test_unknown_licence_checksum_or_address_is_never_fetched(site, changes, sentence):
    with pytest.raises(InputError, match=rf"{sentence}; get .* covid-severity models add FILE --as ours"):
        download_model(site.entry(**changes))
    assert site.asked == []
    assert not models_folder().exists()


def test_installed_model_is_not_replaced_unless_asked_for(site):
    download_model(site.entry())
    with pytest.raises(InputError, match="a model ours is installed already; --replace"):
        download_model(site.entry())
    assert len(site.asked) == 1
    assert download_model(site.entry(title="Newer"), replace=True).entry.title == "Newer"
    assert resolve("ours").entry.title == "Newer"


def test_interrupt_keeps_the_part(site):
    def stop(_stage, done, _total):
        if done > HALF:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_model(site.entry(), progress=stop)
    assert HALF < kept_bytes(site.entry()) < len(CONTENT)
    kept = kept_bytes(site.entry())
    assert download_model(site.entry()).path.read_bytes() == CONTENT
    assert site.asked[-1]["Range"] == f"bytes={kept}-"


def test_what_is_left_can_be_deleted(site):
    site.stops = [HALF] + [0] * 20
    with pytest.raises(DownloadError):
        download_model(site.entry())
    assert discard_download("ours")
    assert left() == []
    assert not discard_download("ours")


@pytest.fixture
def manifest(site, tmp_path):
    path = tmp_path / "hospital.json"
    write_manifest([site.entry()], path)
    return path


def test_command_downloads_from_a_manifest_of_the_user(program, site, manifest):
    status, out, err = program("models", "download", "OURS", "--manifest", manifest)
    assert (status, err) == (0, "")
    assert out.startswith(
        "ours is installed: EfficientNetB5; image 512 x 512 as-published; classes normal, CAP, COVID-19"
    )
    again = program("models", "download", "ours", "--manifest", manifest)
    assert (again.status, again.out) == (0, out)
    assert len(site.asked) == 1


def test_command_tells_progress_to_programs(program, manifest):
    status, out, err = program("models", "download", "ours", "--manifest", manifest, "--progress", "json")
    assert (status, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1] == {"stage": "download", "done": len(CONTENT), "total": len(CONTENT)}


def test_wrong_file_ends_the_command_with_status_2_and_network_trouble_with_1(program, site, manifest):
    site.content = CONTENT[:-1] + b"x"
    assert program("models", "download", "ours", "--manifest", manifest).status == 2
    site.statuses = [500] * 50
    status, out, err = program("models", "download", "ours", "--manifest", manifest)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1


def test_list_tells_how_much_of_a_download_is_there(program, site, manifest, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it for its processes
    site.stops = [HALF] + [0] * 20
    program("models", "download", "ours", "--manifest", manifest)
    assert "to download (52 % are here)" in program("models", "list", "--manifest", manifest).out
    assert program("models", "remove", "ours").out == "What was left of the download of ours is deleted\n"
    assert left() == []


def lung_entry(site, **changes):
    """lungmask's R231 as the program knows it, but on this site and with the digits of this site's file."""
    known = next(entry for entry in known_models() if entry.name == "lungmask-r231")
    address = f"http://127.0.0.1:{site.server.server_port}/v0.0/unet_r231-{SUM[:8]}.pth"
    return replace(known, **{"url": address, "sha256": SUM[:8], "size_bytes": len(CONTENT), **changes})


def test_weights_of_lungmask_keep_their_name_and_get_their_whole_checksum(site):
    model = download_model(lung_entry(site))
    assert (model.path.name, model.entry.sha256, model.entry.purpose) == (f"unet_r231-{SUM[:8]}.pth", SUM, LUNGS)
    assert installed_weights("LUNGMASK-r231") == model.path
    assert installed_classifiers() == ()
    with pytest.raises(InputError, match="the model lungmask-r231 finds lungs; it is no classifier"):
        resolve("lungmask-r231")
    model.path.write_bytes(b"changed")
    with pytest.raises(InputError, match="the file of the installed model lungmask-r231 has changed"):
        installed_weights("lungmask-r231")


def test_weights_of_lungmask_with_other_digits_are_thrown_away(site):
    with pytest.raises(InputError, match=f"its SHA-256 is {SUM}, expected d5d2fc3d; it was thrown away"):
        download_model(lung_entry(site, sha256="d5d2fc3d"))
    assert left() == []


def test_weights_of_lungmask_go_on_after_a_break(site):
    site.stops = [HALF]
    assert download_model(lung_entry(site)).path.read_bytes() == CONTENT
    assert [asked["Range"] for asked in site.asked] == [None, f"bytes={HALF}-"]


def test_no_network_leaves_nothing(site):
    site.server.shutdown()
    site.server.server_close()
    with pytest.raises(
        DownloadError, match=r"http://127\.0\.0\.1:\d+/v0\.0/unet_r231-[0-9a-f]{8}\.pth cannot be reached$"
    ):
        download_model(lung_entry(site))
    assert left() == []


def test_command_downloads_weights_of_lungmask_once_and_says_how_to_use_them(program, site, tmp_path):
    write_manifest([lung_entry(site)], tmp_path / "m.json")
    for _ in range(2):
        status, out, err = program("models", "download", "lungmask-r231", "--manifest", tmp_path / "m.json")
        assert (status, err) == (0, "")
        assert out.endswith("To use it: covid-severity analyze INPUT --lung-engine lungmask\n")
    assert len(site.asked) == 1
    listed = json.loads(program("models", "list", "--json").out)
    assert [row["name"] for row in listed["models"] if row["status"] == "installed"] == ["lungmask-r231"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_command_that_is_stopped_says_what_is_kept(site, manifest):
    site.pause_s = 0.05
    root = Path(CovidSeverityLib.__file__).parents[1]
    command = [sys.executable, "-m", "CovidSeverityLib", "models", "download", "ours", "--manifest", manifest]
    child = subprocess.Popen([*command, "--progress", "json"], cwd=root, text=True, stdout=-1, stderr=-1)
    for line in child.stdout:
        if json.loads(line)["done"] > 100_000:
            break
    child.send_signal(signal.SIGTERM)  # a shell in the background takes SIGINT away
    _, err = child.communicate(timeout=30)
    assert child.returncode == 1
    kept = kept_bytes(site.entry())
    assert 100_000 < kept < len(CONTENT)
    assert err == f"covid-severity: stopped; {kept / 1e6:.1f} MB are kept, and the same command goes on from there\n"
