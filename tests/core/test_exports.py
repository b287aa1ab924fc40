"""Lazy public names: they are imported on first use and listed, and unknown names are errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tfp_vae.core import errors, exports
from tfp_vae.core.exports import lazy_exports


def test_name_without_a_module_is_a_module_itself() -> None:
    get, _ = lazy_exports("tfp_vae.core", ["errors"])
    assert get("errors") is errors


def test_name_comes_from_the_module_that_defines_it() -> None:
    get, _ = lazy_exports("tfp_vae.core", ["lazy_exports"], {"lazy_exports": "exports"})
    assert get("lazy_exports") is exports.lazy_exports


def test_dir_lists_the_public_names_in_a_new_list() -> None:
    _, names = lazy_exports("tfp_vae.core", ["errors", "exports"])
    names().append("changed")
    assert names() == ["errors", "exports"]


def test_unknown_name_is_an_attribute_error_that_names_the_package() -> None:
    get, _ = lazy_exports("tfp_vae.core", ["errors"])
    with pytest.raises(AttributeError, match=r"module 'tfp_vae\.core' has no attribute 'errers'"):
        get("errers")


def test_importing_the_package_imports_no_heavy_library() -> None:
    heavy = "{'tensorflow', 'pandas', 'sklearn', 'matplotlib', 'numpy', 'pydantic'}"
    program = f"import sys, tfp_vae; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
