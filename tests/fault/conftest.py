import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from harness import BUILD, Collectord, FakeCpa  # noqa: E402


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


def shim(folder, name):
    """LD_PRELOAD of a library of ours."""
    lib = folder / f"{name}.so"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(lib), source, "-ldl"], check=True)
    needed = subprocess.run(["ldd", os.path.join(BUILD, "collectord")], capture_output=True, text=True).stdout
    sanitizer = [line.split()[2] for line in needed.splitlines() if "libasan" in line]
    return ":".join([*sanitizer, str(lib)])  # its run-time library insists on being the first


@pytest.fixture(scope="session")
def full_disk_shim(tmp_path_factory):
    """A library that makes writes fail with ENOSPC while a file exists."""
    return shim(tmp_path_factory.mktemp("shim"), "full_disk")


@pytest.fixture(scope="session")
def late_clock_shim(tmp_path_factory):
    """A library that lets a minute pass once a file exists."""
    return shim(tmp_path_factory.mktemp("shim"), "late_clock")
