"""cpactl, run as a person would."""
import os
import subprocess

from harness import BUILD, sanitizer_environment

CPACTL = os.path.join(BUILD, "cpactl")


def environment(**more):
    """Ours, without what would configure the programs; no file of the machine is read."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("USAGE_", "CPA_"))}
    return {**kept, **sanitizer_environment(), "CPA_MANAGER_CONFIG": "", **more}


def cpactl(*args, data=None, stdin="", **more):
    argv = [CPACTL, *(["--data", str(data)] if data else []), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, input=stdin, env=environment(**more))
