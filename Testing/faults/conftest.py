"""What the tests of faults compare with."""

from __future__ import annotations

from typing import Any

import pytest

from Testing.faults.harness import Batch

UNDISTURBED = "undisturbed"


@pytest.fixture(scope="session")
def reference(once, tmp_path_factory) -> tuple[dict[str, str], dict[str, Any]]:
    """Of a case in a batch without faults: its row of cases.csv, and its files without run times."""

    def made() -> tuple[dict[str, str], dict[str, Any]]:
        batch = Batch(tmp_path_factory.mktemp(UNDISTURBED), UNDISTURBED)
        ran = batch.run("--workers", "1", forked=False)
        assert ran.status == 0, ran.err
        return batch.rows("cases.csv")[UNDISTURBED], batch.content(UNDISTURBED)

    return once("undisturbed-batch", made)
