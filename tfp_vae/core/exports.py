"""Names of a package that are imported when they are first used.

This module imports nothing itself, because a program may be interrupted in the first millisecond after it starts.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(
    package: str, names: Iterable[str], modules: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package that imports its public names on first use.

    Args:
      package: the package's `__name__`.
      names: its public names.
      modules: the module, relative to the package, that defines a name. A name without one is itself a module.
    """
    known, defined_in = list(names), dict(modules or {})

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in known:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        import importlib

        if name in defined_in:
            return getattr(importlib.import_module(f"{package}.{defined_in[name]}"), name)
        return importlib.import_module(f"{package}.{name}")

    return __getattr__, lambda: list(known)
