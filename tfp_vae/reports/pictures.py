"""The pictures of a run and of its evaluation, in one table: what each shows, how to read it, and which runs have it.

`PICTURES` has one entry for each picture. The help of `tfp-vae plot`, the captions of the report and
`docs/pictures.md` take their texts from it. To add a picture, write the function of its name in `reports/drawing.py`
and add one entry. This module imports neither TensorFlow nor matplotlib, so that help and reports stay fast.

```python
from tfp_vae.reports.pictures import PICTURES

PICTURES["samples"].caption  # "E[x|z] of draws from the prior. They show what the model can generate."
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, final

if TYPE_CHECKING:
    from tfp_vae.plots.canvas import Figure
    from tfp_vae.reports.drawing import Subject
    from tfp_vae.runs.results import Assessment

__all__ = ["EVALUATION_PICTURES", "PICTURES", "RUN_PICTURES", "Need", "Picture"]


class Need(NamedTuple):
    """A condition that a run must meet to have a picture.

    text: the condition in the documents.
    problem: returns a sentence if a run does not meet it, else None.
    """

    text: str
    problem: Callable[[Subject], str | None]


@final
@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture: its name, its texts, the runs that have it, and the file it goes to.

    name: its name on the command line and the stem of its file. The function of this name in `reports/drawing.py`,
      with underscores, draws it.
    summary: what it shows, on one line of help.
    reading: how to read it, one sentence that follows the summary in the report.
    detail: what it shows, with numbers, in the documents.
    needs: what a run must have. A run that lacks one of them has no such picture.
    of: whether it is drawn from a run or from an evaluation.
    replaces: the picture of the run that the report leaves out if this one is there.
    suffix: of the file.
    depends_on_weights: whether weights and seed decide the picture. The file then names them.
    """

    name: str
    summary: str
    reading: str
    detail: str
    needs: tuple[Need, ...] = ()
    of: Literal["run", "evaluation"] = "run"
    replaces: str = ""
    suffix: Literal[".png", ".gif"] = ".png"
    depends_on_weights: bool = True

    @property
    def caption(self) -> str:
        """The text below the picture in the report."""
        return f"{self.summary}. {self.reading}"

    @property
    def document_row(self) -> str:
        """The picture's row in `docs/pictures.md`: name, content, and the runs that have it."""
        detail, needs = self.detail.replace("|", "\\|"), ", ".join(need.text for need in self.needs)
        return f"| `{self.name}` | {detail} | {needs or 'all'} |"

    def problem(self, subject: Subject) -> str | None:
        """Return why a run does not have this picture, or None if it does."""
        problems = (need.problem(subject) for need in self.needs)
        return next((problem for problem in problems if problem is not None), None)

    def draw(self, subject: Subject | Assessment) -> Figure | bytes | None:
        """Return the figure, the content of an animation, or None if the evaluation lacks its values."""
        from tfp_vae.reports import drawing

        drawn: Figure | bytes | None = getattr(drawing, self.name.replace("-", "_"))(subject)
        return drawn

    def content(self, subject: Subject) -> bytes:
        """Return the content of the picture's file for a run."""
        from tfp_vae.plots import canvas

        drawn = self.draw(subject)
        if drawn is None or isinstance(drawn, bytes):
            return drawn or b""
        return canvas.png(drawn, subject.description) if self.depends_on_weights else canvas.png(drawn)


def _image_problem(subject: Subject) -> str | None:
    shape = subject.test.x.shape[1:]
    return None if len(shape) == 3 else f"expected images, found vectors of {shape[0]}; traversals shows them."


EPOCHS = Need(
    "a finished epoch",
    lambda subject: None if subject.run.metrics() else "expected a run with a finished epoch, found none; train it.",
)
FRAMES = Need(
    "frames of the training",
    lambda subject: (
        None
        if subject.run.frame_paths()
        else "expected frames of the training, found none; they are taken during training unless `plots=False` is set."
    ),
)
IMAGES = Need("images", _image_problem)
SEVERAL_EXAMPLES = Need(
    "2 test examples",
    lambda subject: None if len(subject.test) > 1 else "expected at least 2 test examples, found 1.",
)
ACTIVE_DIMENSION = Need(
    "an active dimension",
    lambda subject: (
        None
        if len(subject.active)
        else "expected an active latent dimension, found none: the posterior has collapsed to the prior."
    ),
)
TWO_DIMENSIONS = Need(
    "2 latent dimensions",
    lambda subject: (
        None
        if subject.latent_dim == 2
        else f"expected a run with 2 latent dimensions, found {subject.latent_dim}; traversals shows them all."
    ),
)
SEVERAL_DIMENSIONS = Need(
    "at least 2 latent dimensions",
    lambda subject: (
        None if subject.latent_dim > 1 else f"expected at least 2 latent dimensions, found {subject.latent_dim}."
    ),
)


def _by_name(pictures: Sequence[Picture]) -> dict[str, Picture]:
    return {picture.name: picture for picture in pictures}


PICTURES = _by_name(
    (
        Picture(
            name="samples",
            summary="E[x|z] of draws from the prior",
            reading="They show what the model can generate.",
            detail="E[x|z] of 64 draws from the prior",
        ),
        Picture(
            name="latent-animation",
            summary="Test examples in latent space, one frame per epoch",
            reading="Watch classes spread and separate during training.",
            detail="E[z|x] of up to 1,000 test examples, one frame per epoch",
            needs=(SEVERAL_DIMENSIONS, FRAMES),
            suffix=".gif",
        ),
        Picture(
            name="decoder-animation",
            summary="Decoded examples, one frame per epoch",
            reading="Each frame decodes the same places in latent space.",
            detail="E[x|z] at the same places in every frame: quantiles of the prior in 2 dimensions, else draws",
            needs=(IMAGES, FRAMES),
            suffix=".gif",
        ),
        Picture(
            name="reconstructions",
            summary="Test examples as the model saw them, and E[x|z] of each",
            reading="The closer the rows, the more z keeps of x.",
            detail="test examples as the model saw them (binarized, if it saw them so), and E[x|z] at z = E[z|x]",
        ),
        Picture(
            name="learning-curves",
            summary="ELBO, distortion and rate by epoch",
            reading="ELBO = -distortion - rate, in nats per example.",
            detail="ELBO, distortion and rate after each epoch, for training and validation data",
            needs=(EPOCHS,),
            depends_on_weights=False,
        ),
        Picture(
            name="latent-scatter",
            summary="E[z|x] by class, with ellipses of q(z|x)",
            reading="Ellipses, if any, show how certain the encoder is.",
            detail="E[z|x] of up to 5,000 test examples by class, with ellipses of one standard deviation of q(z|x) "
            "for 60 of them. Above two dimensions, the first two principal components or t-SNE. In one dimension, a "
            "histogram",
        ),
        Picture(
            name="manifold",
            summary="E[x|z] over quantiles of the prior, in 2 dimensions",
            reading="Neighbouring places should decode to similar examples.",
            detail="E[x|z] over 20 x 20 quantiles of the prior. The title says if they are quantiles of draws",
            needs=(TWO_DIMENSIONS, IMAGES),
        ),
        Picture(
            name="traversals",
            summary="E[x|z] along each active dimension",
            reading="The other dimensions stay fixed.",
            detail="E[x|z] along up to 16 active dimensions, between the prior's 2nd and 98th percentile, starting "
            "from a typical test example",
            needs=(ACTIVE_DIMENSION,),
        ),
        Picture(
            name="interpolations",
            summary="E[x|z] on straight lines between test examples",
            reading="The examples themselves are at the ends of each row.",
            detail="E[x|z] on straight lines between the posterior means of two test examples, with both at the ends",
            needs=(SEVERAL_EXAMPLES,),
        ),
        Picture(
            name="posterior-prior",
            summary="The aggregate posterior against the prior, by dimension",
            reading="Where they differ, the prior produces z values that no training example covered.",
            detail="draws from the aggregate posterior against draws from the prior, for up to 16 dimensions",
        ),
        Picture(
            name="log-likelihood",
            summary="log p(x) of test examples, by class",
            reading="Boxes are classes.",
            detail="importance-weighted log p(x), K = 100, of up to 1,000 test examples, also by class",
        ),
        Picture(
            name="extremes",
            summary="The least and the most likely test examples",
            reading="A low log p(x) is a reason to look at an example.",
            detail="the ten least and the ten most likely of them, each with its log p(x) and its file or row",
            needs=(SEVERAL_EXAMPLES,),
        ),
        Picture(
            name="evaluation-bound",
            summary="The importance-weighted bound by number of samples",
            reading="A curve that still rises at the end means that log p(x) is larger.",
            detail="the importance-weighted bound against K, from one sample on",
            of="evaluation",
        ),
        Picture(
            name="evaluation-rates",
            summary="The rate of each latent dimension",
            reading="A dimension with a rate near 0 tells nothing about the example.",
            detail="the mean rate of each latent dimension, between Normals only",
            of="evaluation",
        ),
        Picture(
            name="evaluation-histogram",
            summary="log p(x) of the evaluated examples, by class",
            reading="Boxes are classes.",
            detail="importance-weighted log p(x) of the evaluated examples, also by class",
            of="evaluation",
            replaces="log-likelihood",
        ),
        Picture(
            name="evaluation-extremes",
            summary="The least and the most likely evaluated examples",
            reading="A low log p(x) is a reason to look at an example.",
            detail="the ten least and the ten most likely evaluated examples",
            of="evaluation",
            replaces="extremes",
        ),
        Picture(
            name="architecture",
            summary="The model as a diagram",
            reading="It shows the layers and the distributions between them.",
            detail="the layers with the shapes of their outputs, and the distributions between them",
            depends_on_weights=False,
        ),
    )
)
"""Every picture, in the order of the report."""

RUN_PICTURES = _by_name([picture for picture in PICTURES.values() if picture.of == "run"])
"""The pictures that `tfp-vae plot` draws."""

EVALUATION_PICTURES = _by_name([picture for picture in PICTURES.values() if picture.of == "evaluation"])
"""The pictures that `tfp-vae evaluate` draws."""
