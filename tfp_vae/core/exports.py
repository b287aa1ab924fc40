"""Public names of a package that are imported on first use.

This module imports nothing itself, so that `import tfp_vae` takes about a millisecond.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["lazy_exports"]


def lazy_exports(
    package: str, names: Iterable[str], modules: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package that imports its public names on first use.

    Args:
      package: the package's `__name__`.
      names: its public names.
      modules: the module, relative to the package, that defines a name. A name without one is itself a module.
    """
    known, defined_in = list(names), dict(modules or {})

    def __getattr__(name: str) -> object:  # noqa: N807
        if name not in known:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        import importlib

        if name in defined_in:
            return getattr(importlib.import_module(f"{package}.{defined_in[name]}"), name)
        return importlib.import_module(f"{package}.{name}")

    return __getattr__, lambda: list(known)
