"""The pictures of a run and of its evaluation, in one table: their content, how to read them, and their conditions.

`PICTURES` has one entry for each picture. The help of `tfp-vae plot`, the captions of the report and
`docs/pictures.md` take their texts from it. To add a picture, write the function of its name in `reports/drawing.py`
and add one entry. This module imports neither TensorFlow nor matplotlib, so that help and reports stay fast.

```python
from tfp_vae.reports.pictures import PICTURES

PICTURES["samples"].caption  # "E[x|z] of draws from the prior. They show what the model can generate."
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, final

from tfp_vae.core.registry import check_keywords

if TYPE_CHECKING:
    from tfp_vae.plots.canvas import Figure
    from tfp_vae.reports.run_data import RunData
    from tfp_vae.runs.results import Assessment

__all__ = ["EVALUATION_PICTURES", "PICTURES", "RUN_PICTURES", "Need", "Picture"]


@check_keywords
class Need(NamedTuple):
    """A condition that a run must meet to have a picture.

    text: the condition in the documents.
    is_met: whether a run meets it.
    problem: the error if it does not. Fields in braces are filled from the `RunData`.
    """

    text: str
    is_met: Callable[[RunData], bool]
    problem: str


@final
@check_keywords
@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture: its name, its texts, the runs that have it, and its file.

    name: its name on the command line and the stem of its file. The function of this name in `reports/drawing.py`,
      with underscores, draws it.
    summary: its content, on one line of help.
    reading: how to read it, in one sentence that follows the summary in the report.
    detail: its content with numbers, in the documents.
    alt: what a reader who cannot see it should know of its form, in the report.
    needs: the conditions that a run must meet.
    of: whether it shows a run or an evaluation.
    replaces: the picture of the run that the report leaves out if this one exists.
    suffix: the suffix of its file.
    depends_on_weights: whether weights and seed decide the picture. The file then names them.
    on_request: whether it takes minutes, so that it is drawn only if you name it.
    """

    name: str
    summary: str
    reading: str
    detail: str
    alt: str
    needs: tuple[Need, ...] = ()
    of: Literal["run", "evaluation"] = "run"
    replaces: str = ""
    suffix: Literal[".png", ".gif"] = ".png"
    depends_on_weights: bool = True
    on_request: bool = False

    @property
    def caption(self) -> str:
        """The text below the picture in the report."""
        return f"{self.summary}. {self.reading}"

    @property
    def document_row(self) -> str:
        """The picture's row in `docs/pictures.md`: name, content, and the runs that have it."""
        detail, needs = self.detail.replace("|", "\\|"), ", ".join(need.text for need in self.needs)
        return f"| `{self.name}` | {detail} | {needs or 'all'}{', if you name it' * self.on_request} |"

    def problem(self, run_data: RunData) -> str | None:
        """Return a sentence on why a run cannot have this picture, or None if it can."""
        missing = (need.problem.format(run_data=run_data) for need in self.needs if not need.is_met(run_data))
        return next(missing, None)

    def draw(self, run_data: RunData | Assessment) -> Figure | bytes | None:
        """Return the figure, the content of an animation, or None if the evaluation lacks its values."""
        from tfp_vae.reports import drawing

        picture: Figure | bytes | None = getattr(drawing, self.name.replace("-", "_"))(run_data)
        return picture

    def content(self, run_data: RunData) -> bytes:
        """Return the content of the picture's file for a run."""
        from tfp_vae.plots import canvas

        picture = self.draw(run_data)
        if picture is None or isinstance(picture, bytes):
            return picture or b""
        return canvas.png(picture, run_data.description if self.depends_on_weights else "")


FINISHED_EPOCH = Need(
    "a finished epoch",
    lambda run_data: bool(run_data.run.metrics()),
    "this run has no finished epoch. Train it first.",
)
FRAMES = Need(
    "frames of the training",
    lambda run_data: run_data.reel is not None,
    "this run has no frames of its training that can be used. Training records them unless `plots=False` is set.",
)
IMAGES = Need(
    "images",
    lambda run_data: run_data.has_images,
    "the examples of this run are vectors, not images. Plot `traversals` to see them.",
)
VECTORS = Need(
    "vectors",
    lambda run_data: not run_data.has_images,
    "the examples of this run are images, not vectors. Plot `samples` to see them.",
)
NAMED_COLUMNS = Need(
    "a table with 2 columns",
    lambda run_data: len(run_data.config.data.features) > 1,
    "the examples of this run are not rows of a table with several columns.",
)
MIXED_TABLE = Need(
    "a mixed table",
    lambda run_data: run_data.has_missing_cells,
    "this run has no mixed table, whose cells may be missing.",
)
SEVERAL_EXAMPLES = Need(
    "2 test examples",
    lambda run_data: len(run_data.test) > 1,
    "this run has only 1 test example, but 2 are needed.",
)
ACTIVE_DIMENSION = Need(
    "an active dimension",
    lambda run_data: len(run_data.active) > 0,
    "no latent dimension is active, because the posterior has collapsed to the prior.",
)
ONE_LAYER = Need(
    "one layer of z",
    lambda run_data: len(run_data.space.blocks) == 1,
    "z of this run has layers, and the decoder sees only the first. Plot `traversals` to see all of them.",
)
TWO_DIMENSIONS = Need(
    "2 latent dimensions",
    lambda run_data: run_data.latent_dim == 2,
    "this run has {run_data.latent_dim} latent dimensions, not 2. Plot `traversals` to see each of them.",
)
SEVERAL_DIMENSIONS = Need(
    "at least 2 latent dimensions",
    lambda run_data: run_data.latent_dim > 1,
    "this run has only 1 latent dimension, but 2 are needed.",
)

DENSITY = Need(
    "a posterior with a density",
    lambda run_data: not run_data.vae.encoder.posterior.capabilities.implicit,
    "the posterior of this run has no density, so importance weights do not exist. Plot `posterior-prior` to see it.",
)
CONTINUOUS = Need(
    "a continuous z",
    lambda run_data: not run_data.space.discrete,
    "z of this run is discrete, so there is nothing between its codes. Plot `code-usage` to see them.",
)
DISCRETE = Need(
    "a discrete z",
    lambda run_data: run_data.space.discrete,
    "z of this run is continuous and has no codes. Plot `posterior-prior` to see its distribution.",
)

GAPS_READING = (
    "A large amortization gap calls for a wider encoder or longer training, and a large approximation gap for a richer "
    "posterior."
)
GAPS_ALT = "Two bars with the mean of each gap, next to points whose axes are the two gaps"

PICTURES = {
    picture.name: picture
    for picture in (
        Picture(
            name="samples",
            summary="E[x|z] of draws from the prior",
            reading="They show what the model can generate.",
            detail="E[x|z] of 64 draws from the prior",
            alt="A grid of generated examples",
        ),
        Picture(
            name="latent-animation",
            summary="Test examples in latent space, one frame per epoch",
            reading="Watch classes spread and separate during training.",
            detail="E[z|x] of up to 1,000 test examples, one frame per epoch",
            alt="Points in the colours of their classes that move apart",
            needs=(SEVERAL_DIMENSIONS, FRAMES),
            suffix=".gif",
        ),
        Picture(
            name="decoder-animation",
            summary="Decoded examples, one frame per epoch",
            reading="Each frame decodes the same places in latent space.",
            detail="E[x|z] at the same places in every frame: quantiles of the prior in 2 dimensions, else draws",
            alt="A grid of decoded examples that become clearer",
            needs=(IMAGES, FRAMES),
            suffix=".gif",
        ),
        Picture(
            name="reconstructions",
            summary="Test examples as the model saw them, and E[x|z] of each",
            reading="The closer the rows, the more z keeps of x.",
            detail="test examples as the model saw them (perhaps binarized or dequantized), and E[x|z] at z = E[z|x]",
            alt="Two rows of examples, data above reconstructions",
        ),
        Picture(
            name="columns",
            summary="The distribution of each column, of data and of the model",
            reading="Where the line leaves the filled area, the model draws values that the data lack, or misses some.",
            detail="histograms of each column of the test examples and of draws from p(x), in the units of the data. "
            "Of more than 24 columns, those that differ most. Mixed tables have up to 48, with a bar for each word",
            alt="A panel for each column with a filled histogram of the data and the outline of the samples",
            needs=(VECTORS,),
        ),
        Picture(
            name="associations",
            summary="How columns depend on each other, of data and of the model",
            reading="Each cell is a pair of columns. The third map shows where the model misses a dependence.",
            detail="the association of each pair of columns, in test examples and in as many draws from p(x), and the "
            "difference: Spearman's |rho| of numbers, Cramer's V of words, and the correlation ratio of one of each",
            alt="Three square maps of all pairs of columns",
            needs=(NAMED_COLUMNS,),
        ),
        Picture(
            name="imputation",
            summary="Hidden cells of test examples, imputed, against the truth",
            reading="If the model is right, 90% of the intervals contain the truth.",
            detail="imputed cells of up to 200 test examples, K = 500, after hiding 20% of their observed cells, with "
            "90% intervals of numbers and probabilities of words. Up to 24 columns",
            alt="A panel for each column with points and intervals around a diagonal",
            needs=(MIXED_TABLE,),
        ),
        Picture(
            name="unusual-cells",
            summary="The least likely cells of test examples",
            reading="The dark cell is the most likely reason that its row is unusual.",
            detail="up to 20 of 500 test examples with the cells that lie furthest below the median log p(x_j|x_rest) "
            "of their column, K = 100. Of more than 12 columns, those with these cells. Of wide tables, fewer examples",
            alt="A table of rows whose unusual cells are dark",
            needs=(MIXED_TABLE,),
        ),
        Picture(
            name="learning-curves",
            summary="ELBO, distortion and rate by epoch",
            reading="ELBO = -distortion - rate, in nats per example.",
            detail="ELBO, distortion and rate after each epoch, for training and validation data",
            alt="Three panels of curves, one for training and one for validation in each",
            needs=(FINISHED_EPOCH,),
            depends_on_weights=False,
        ),
        Picture(
            name="latent-scatter",
            summary="E[z|x] by class, with ellipses of q(z|x)",
            reading="Ellipses, if any, show how certain the encoder is.",
            detail="E[z|x] of up to 5,000 test examples by class, with ellipses of one standard deviation of q(z|x) "
            "for 60 of them. Above two dimensions, the first two principal components or t-SNE. In one dimension, a "
            "histogram",
            alt="Points in the plane in the colours of their classes",
        ),
        Picture(
            name="manifold",
            summary="E[x|z] over quantiles of the prior, in 2 dimensions",
            reading="Neighbouring places should decode to similar examples.",
            detail="E[x|z] over 20 x 20 quantiles of the prior. The title says if they are quantiles of draws",
            alt="A square of decoded examples that change gradually",
            needs=(CONTINUOUS, ONE_LAYER, TWO_DIMENSIONS, IMAGES),
        ),
        Picture(
            name="traversals",
            summary="E[x|z] along each active dimension",
            reading="The other dimensions stay fixed, except for the layers of z below, which follow from it.",
            detail="E[x|z] along up to 16 active dimensions, or 12 for vectors, between the prior's 2nd and 98th "
            "percentile, starting from a typical test example",
            alt="Rows of decoded examples, each row changing along one latent dimension",
            needs=(CONTINUOUS, ACTIVE_DIMENSION),
        ),
        Picture(
            name="interpolations",
            summary="E[x|z] on straight lines between test examples",
            reading="The examples themselves are at the ends of each row.",
            detail="E[x|z] on straight lines between the posterior means of two test examples, with both at the ends",
            alt="Rows of examples, each row changing from one example into another",
            needs=(CONTINUOUS, SEVERAL_EXAMPLES),
        ),
        Picture(
            name="posterior-prior",
            summary="The aggregate posterior against the prior, by dimension",
            reading="Where they differ, the prior produces z values that no training example covered.",
            detail="draws from the aggregate posterior against draws from the prior, for up to 16 dimensions",
            alt="A panel for each dimension with a filled histogram and the outline of the prior",
            needs=(CONTINUOUS,),
        ),
        Picture(
            name="code-usage",
            summary="How often test examples have each code of a discrete z",
            reading="A row with one bright cell is a dimension that always has the same code.",
            detail="the frequency of each code under the aggregate posterior, with the perplexity of each dimension",
            alt="A map with a row for each dimension and a column for each code",
            needs=(DISCRETE,),
        ),
        Picture(
            name="log-likelihood",
            summary="log p(x) of test examples, by class",
            reading="Boxes are classes.",
            detail="importance-weighted log p(x), K = 100, of up to 1,000 test examples, also by class",
            alt="A histogram of log p(x) above a box for each class",
            needs=(DENSITY,),
        ),
        Picture(
            name="extremes",
            summary="The least and the most likely test examples",
            reading="A low log p(x) is a reason to look at an example. Labels are files, or rows of the source.",
            detail="the ten least and the ten most likely of them, each with its log p(x), and its file or its row in "
            "the source",
            alt="Two rows of examples with their log p(x), the least likely above the most likely",
            needs=(SEVERAL_EXAMPLES, DENSITY),
        ),
        Picture(
            name="gaps",
            summary="log p(x) - ELBO in two parts, with errors",
            reading=GAPS_READING,
            detail="the approximation gap and the amortization gap of up to 100 test examples, refined by `local`, "
            "K = 100: the mean of each with its standard error, and one point for each example",
            alt=GAPS_ALT,
            needs=(CONTINUOUS, DENSITY),
            on_request=True,
        ),
        Picture(
            name="evaluation-bound",
            summary="The importance-weighted bound by number of samples",
            reading="A curve that still rises at the end means that log p(x) is larger.",
            detail="the importance-weighted bound against K, from one sample on",
            alt="A curve of the bound by the number of importance samples, and a line at the ELBO",
            of="evaluation",
        ),
        Picture(
            name="evaluation-rates",
            summary="The rate of each latent dimension",
            reading="A dimension with a rate near 0 tells nothing about the example.",
            detail="the mean rate of each latent dimension, between Normals or codes only",
            alt="Bars that fall from left to right, one for each latent dimension",
            of="evaluation",
        ),
        Picture(
            name="evaluation-gaps",
            summary="log p(x) - ELBO of the evaluated examples in two parts",
            reading=GAPS_READING,
            detail="the approximation gap and the amortization gap of the evaluated examples, with their errors. Only "
            "after a refinement within the posterior's family, such as `local`",
            alt=GAPS_ALT,
            of="evaluation",
            replaces="gaps",
        ),
        Picture(
            name="evaluation-histogram",
            summary="log p(x) of the evaluated examples, by class",
            reading="Boxes are classes.",
            detail="importance-weighted log p(x) of the evaluated examples, also by class",
            alt="A histogram of log p(x) of evaluated examples above a box for each class",
            of="evaluation",
            replaces="log-likelihood",
        ),
        Picture(
            name="evaluation-extremes",
            summary="The least and the most likely evaluated examples",
            reading="A low log p(x) is a reason to look at an example. Labels are files, or rows of the source.",
            detail="the ten least and the ten most likely evaluated examples, labelled like `extremes`",
            alt="Two rows of evaluated examples with their log p(x), the least likely above the most likely",
            of="evaluation",
            replaces="extremes",
        ),
        Picture(
            name="architecture",
            summary="The model as a diagram",
            reading="It shows the layers and the distributions between them.",
            detail="the layers with the shapes of their outputs, and the distributions between them",
            alt="Boxes and bars joined by arrows, from x to q(z|x) to p(x|z)",
            depends_on_weights=False,
        ),
    )
}
"""Every picture, in the order of the report."""

RUN_PICTURES = {name: picture for name, picture in PICTURES.items() if picture.of == "run"}
"""The pictures that `tfp-vae plot` draws."""

EVALUATION_PICTURES = {name: picture for name, picture in PICTURES.items() if picture.of == "evaluation"}
"""The pictures that `tfp-vae evaluate` draws."""
