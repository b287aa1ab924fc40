"""The start of the command line."""

from __future__ import annotations

import subprocess
import sys

HELP = """
import sys
from tfp_vae.cli.main import main
main(["--help"], prog_name="tfp-vae", standalone_mode=False)
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_help_imports_no_heavy_package() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    imported = set(done.stderr.split())
    assert {"tfp_vae", "click"} <= imported
    assert not imported & {"numpy", "pydantic", "rich", "pandas", "matplotlib", "sklearn", "tensorflow"}
