import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from harness import Collectord, FakeCpa  # noqa: E402


@pytest.fixture
def cpa():
    fake = FakeCpa()
    yield fake
    fake.stop()


@pytest.fixture
def daemon(cpa, tmp_path):
    """A collectord that collects from `cpa`; it must end well, whatever happened."""
    d = Collectord(tmp_path / "data", cpa.url)
    yield d
    if d.process is not None:
        code = d.stop()
        assert code in (0, -9), f"collectord ended with {code}: {d.log()[-2000:]}"
