"""Reports: the pictures of a run and its HTML page.

`pictures` holds `PICTURES`, the table of all pictures. `drawing` has one function for each of them, those of tables
from `tables`, and `run_data` the results that they share. `page` fills the HTML page and `comparison` the page of
several runs, with the files that `assets` reads. `explorer` computes the part that you can explore, `curves` holds
learning curves, `verdicts` judges a run in words, and `repeat_command` writes the command that repeats a training. To
add a picture, write the function of its name in `drawing` and add one entry to `PICTURES`. The command line and the
page then include it. Copy its `document_row` into `docs/pictures.md`, which a test checks.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.reports.comparison import comparison_page
    from tfp_vae.reports.drawing import applicable, draw_evaluation, draw_run
    from tfp_vae.reports.explorer import Explorer, explore, read_explorer, write_explorer
    from tfp_vae.reports.page import html_page, page_pictures, pictures_for, pictures_to_redraw
    from tfp_vae.reports.pictures import EVALUATION_PICTURES, PICTURES, RUN_PICTURES, Need, Picture
    from tfp_vae.reports.repeat_command import portable, training_command
    from tfp_vae.reports.run_data import RunData
    from tfp_vae.reports.verdicts import Verdict, judge

_PLACES = {
    "EVALUATION_PICTURES": "pictures",
    "Explorer": "explorer",
    "Need": "pictures",
    "PICTURES": "pictures",
    "Picture": "pictures",
    "RUN_PICTURES": "pictures",
    "RunData": "run_data",
    "Verdict": "verdicts",
    "applicable": "drawing",
    "comparison_page": "comparison",
    "draw_evaluation": "drawing",
    "draw_run": "drawing",
    "explore": "explorer",
    "html_page": "page",
    "judge": "verdicts",
    "page_pictures": "page",
    "pictures_for": "page",
    "pictures_to_redraw": "page",
    "portable": "repeat_command",
    "read_explorer": "explorer",
    "training_command": "repeat_command",
    "write_explorer": "explorer",
}

__all__ = [
    "EVALUATION_PICTURES",
    "PICTURES",
    "RUN_PICTURES",
    "Explorer",
    "Need",
    "Picture",
    "RunData",
    "Verdict",
    "applicable",
    "comparison_page",
    "draw_evaluation",
    "draw_run",
    "explore",
    "html_page",
    "judge",
    "page_pictures",
    "pictures_for",
    "pictures_to_redraw",
    "portable",
    "read_explorer",
    "training_command",
    "write_explorer",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
