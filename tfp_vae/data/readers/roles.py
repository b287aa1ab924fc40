"""Roles: names of arrays and folders tell which of them hold the examples or the labels of a split.

Names are compared word by word and without case, so `x_train`, `X_train`, `train_images`, `trainX` and `Training` all
belong to the training split.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from tfp_vae.core.errors import DataError
from tfp_vae.data.readers.words import join_names, name_setting

__all__ = ["SPLIT_WORDS", "WHOLE", "Assignment", "Role", "role_of", "split_of", "suggest_roles"]

WHOLE = ""
"""The name of the only part of a source without splits."""

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""Words that name splits."""

EXAMPLE_WORDS = {
    *("x", "data", "image", "images", "img", "imgs", "input", "inputs", "feature", "features"),
    *("example", "examples", "sample", "samples", "pixels"),
}

LABEL_WORDS = {"y", "label", "labels", "target", "targets", "class", "classes"}

METADATA_WORDS = {"name", "names", "mean", "std", "id", "ids", "description"}
"""Words of arrays about the examples, such as `feature_names`."""


class Role(NamedTuple):
    """The role of an array: the examples `x` or the labels `y` of a split, or of all data if `split` is empty."""

    kind: Literal["x", "y"]
    split: str

    def __str__(self) -> str:
        return f"{self.kind}_{self.split}".rstrip("_")


def split_of(word: str) -> str | None:
    """Return the split that a word names in any case, or None."""
    return SPLIT_WORDS.get(word.lower())


def role_of(name: str) -> Role | None:
    """Return the role of an array, or None if a word of its name is unknown.

    ```python
    from tfp_vae.data.readers.roles import role_of

    role_of("Train_Images")  # Role(kind="x", split="train")
    role_of("x_unlabeled")  # None
    ```

    Args:
      name: the name of the array.
    """
    kinds, splits = list[Literal["x", "y"]](), list[str]()
    for word in words_of(name):
        if word in EXAMPLE_WORDS:
            kinds.append("x")
        elif word in LABEL_WORDS:
            kinds.append("y")
        elif word in SPLIT_WORDS:
            splits.append(SPLIT_WORDS[word])
        else:
            return None
    if len(kinds) > 1 or len(splits) > 1 or not kinds + splits:
        return None
    return Role(kinds[0] if kinds else "x", splits[0] if splits else WHOLE)


def words_of(name: str) -> list[str]:
    """Return the words of a name in small letters. For example, `xTrain`, `x-train` and `xtrain` have two words."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W_A-Za-z]+", name)
    if len(words) == 1 and words[0][:1] in "xXyY" and split_of(words[0][1:]) is not None:
        words = [words[0][0], words[0][1:]]
    return [word.lower() for word in words]


class Assignment(NamedTuple):
    """Which arrays of a source are used.

    found: the name of the array for each role.
    unused: the names of the other arrays.
    """

    found: Mapping[Role, str]
    unused: Sequence[str]

    @classmethod
    def of(cls, source: str, names: Sequence[str], chosen: Collection[str] = ()) -> Assignment:
        """Return which arrays are used. An array of unknown name that may hold examples is an error.

        Args:
          source: where the arrays are, for messages.
          names: the names of all arrays.
          chosen: the roles that the user gave, such as `x_train=first`. If there are any, other arrays are not used.

        Raises:
          DataError: a role is unknown or taken twice, or it is not clear which arrays hold the examples.
        """
        if not names:
            raise DataError(f"{source}: expected arrays, found nothing. Save it again.")
        listed = ", ".join(names)

        def advice() -> str:
            return f"Name each role with `arrays`, such as {name_setting('arrays', join_names(suggest_roles(names)))}."

        pairs = [(role_of(role), name) for role, _, name in (each.partition("=") for each in chosen)]
        missing = [name for _, name in pairs if name not in names]
        if missing:
            raise DataError(f"{source}: expected an array named {missing[0]}, found {listed}. Check `arrays`.")
        found = dict[Role, str]()
        for role, name in pairs or roles_of(names):
            if role in found:
                raise DataError(f"{source}: arrays {found[role]} and {name} are both {role}. {advice()}")
            if role is not None:
                found[role] = name
        unused = [name for name in names if name not in found.values()]
        unclear = [name for name in unused if may_hold_examples(name) or not found]
        if unclear and not chosen:
            raise DataError(f"{source}: cannot tell the role of {', '.join(unclear)} among {listed}. {advice()}")
        problem = find_problem(found)
        if problem:
            raise DataError(f"{source}: {problem}. {advice()}")
        return cls(found, unused)


def suggest_roles(names: Sequence[str]) -> list[str]:
    """Return the roles to name for these arrays, such as `x_train=first`, with all that their names tell.

    ```python
    from tfp_vae.data.readers.roles import suggest_roles

    suggest_roles(["x_unlabeled", "x_test", "x_train"])  # x_train=x_train, x_test=x_test
    ```

    Args:
      names: the names of all arrays.
    """
    known = [(role, name) for role, name in roles_of(names) if role is not None]
    if any(role.split != WHOLE for role, _ in known):
        known = [(Role(role.kind, role.split or "train"), name) for role, name in known]
    found = dict(reversed(known))  # the first array of a role
    splits = [split for split in ("", "train", "validation", "test") if Role("x", split) in found]
    roles = [role for split in splits for role in (Role("x", split), Role("y", split)) if role in found]
    return [f"{role}={found[role]}" for role in roles] or [f"x_train={names[0]}"]


def roles_of(names: Sequence[str]) -> list[tuple[Role | None, str]]:
    """Return the role of each array by its name. The only array of a source holds examples whatever its name."""
    roles = [role_of(name) for name in names]
    if len(names) == 1 and (roles[0] is None or roles[0].kind == "y"):
        roles = [Role("x", WHOLE)]
    return list(zip(roles, names, strict=True))


def find_problem(found: Mapping[Role, str]) -> str:
    """Return why arrays with these roles cannot be used, or an empty text."""
    splits = {role.split for role in found if role.kind == "x"}
    lonely = next((name for role, name in found.items() if role.split not in splits), None)
    if not splits:
        return f"expected an array of examples, found only the labels {', '.join(found.values())}"
    if lonely is not None:
        return f"expected examples for the labels {lonely}, found none"
    if WHOLE in splits and len(splits) > 1:
        return f"cannot tell whether {found[Role('x', WHOLE)]} is for training only"
    return ""


def may_hold_examples(name: str) -> bool:
    """Return whether a name has a word for examples or for a split, and none for metadata."""
    words = set(words_of(name))
    return bool(words & (EXAMPLE_WORDS | SPLIT_WORDS.keys())) and not words & METADATA_WORDS
