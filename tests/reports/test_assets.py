"""Pages contain their scripts and styles, and browsers refuse any other script."""

from __future__ import annotations

import base64
import hashlib
import math
import re

from tfp_vae.reports import assets


def test_policy_allows_this_script_alone() -> None:
    code = assets.script()
    checksum = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert assets.policy(code).endswith(f"script-src 'sha256-{checksum}'")
    assert assets.policy(code).startswith("default-src 'none'")


def test_the_library_comes_with_its_licence() -> None:
    code = assets.script()
    assert "MIT License" in code
    assert "Permission is hereby granted" in code.split("var uPlot")[0]
    assert "v1.6.32" in code


def test_every_script_is_in_the_page_once() -> None:
    folder = assets.FOLDER
    assert {path.name for path in folder.glob("*.js")} == set(assets.SCRIPTS)
    for name in assets.SCRIPTS:
        assert assets.script().count((folder / name).read_text()) == 1
    assert "</script" not in assets.script()


def test_scripts_never_write_markup() -> None:
    own = "".join((assets.FOLDER / name).read_text() for name in assets.SCRIPTS)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|fetch\(", own)


def test_json_ends_no_element_and_has_no_infinity() -> None:
    assert assets.as_json({"name": "</script>", "value": math.inf}).startswith(
        '{"name": "\\u003c/script>", "value": null'
    )


def test_text_in_backticks_is_code_and_the_rest_is_escaped() -> None:
    assert assets.with_code("Use `a=<b>` & `c`, not `.") == (
        "Use <code>a=&lt;b&gt;</code> &amp; <code>c</code>, not `."
    )
