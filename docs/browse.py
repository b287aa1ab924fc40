"""Open a page in the Chromium of QtWebEngine at a width, in light or dark, and report what a reader would see.

python docs/browse.py PAGE.html --width 360 --scheme dark [--picture FILE.png] [--pdf FILE.pdf]

It needs `pip install -e '.[browser]'`, but no display.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from PySide6.QtGui import QImage
    from PySide6.QtPdf import QPdfDocument
    from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineUrlRequestInfo, QWebEngineUrlRequestInterceptor

SCHEMES = {"dark": 0, "light": 1}
"""The colour schemes that a reader may prefer, by Chromium's numbers."""

STILL = 2
"""Chromium's number for still animations, because a moving page never looks the same twice."""

LONGEST = 16_000
"""Largest height of a picture, in pixels. Graphics memory ends soon after."""

PATIENCE = 60.0
"""Default limit for a visit, in seconds."""

AGAIN = 150
"""Pause before the page is asked or looked at again, in milliseconds."""

MARGIN = 16
"""Margin of a printed page, in millimetres."""

SHEET = 595, 842
"""Width and height of A4, in points."""

QUESTION = """(function () {
  const size = () => innerWidth + 'x' + innerHeight, kept = document.documentElement.dataset;
  requestAnimationFrame(() => requestAnimationFrame(() => { kept.painted = size(); }));
  const root = document.scrollingElement, images = [...document.images];
  const beyond = [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1);
  return JSON.stringify({
    painted: kept.painted === size() && images.every(i => i.complete), inner_height: innerHeight,
    inner_width: innerWidth, scroll_width: root.scrollWidth, height: root.scrollHeight,
    beyond: beyond.filter(e => !e.closest('.scroll, pre')).map(e => e.tagName.toLowerCase()),
    images: images.length, images_sound: images.filter(i => i.complete && i.naturalWidth > 0).length,
    images_shown: images.filter(i => i.getBoundingClientRect().width > 0).map(i => i.className),
    ground: getComputedStyle(document.body).backgroundColor, text: getComputedStyle(document.body).color,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
  });
})()"""
"""The script that describes a page. The page is `painted` once a frame of its current size is, with all its images."""

MARK = "#fd01fe"
"""A colour that no page has. Marks of this colour in the corners show that a picture is up to date."""

MARKED = f"""(function () {{
  for (const corner of ['top: 0; left: 0', 'bottom: 0; right: 0']) {{
    const mark = document.body.appendChild(document.createElement('i'));
    mark.className = 'browse-mark';
    mark.style = 'position: fixed; z-index: 2147483647; width: 4px; height: 4px; background: {MARK};' + corner;
  }}
}})()"""
CLEARED = "document.querySelectorAll('i.browse-mark').forEach(mark => mark.remove())"


def main() -> None:
    """Open the page and print a description of it as a JSON object."""
    asked = read_arguments()
    seen = f"--blink-settings=preferredColorScheme={SCHEMES[asked.scheme]},imageAnimationPolicy={STILL}"
    flags = f"--no-sandbox --disable-gpu --disable-checker-imaging {seen}"  # no frame without its images
    os.environ.update(QTWEBENGINE_CHROMIUM_FLAGS=flags, QT_QPA_PLATFORM="offscreen", QT_LOGGING_RULES="*=false")
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    visit = Visit(asked)
    code = application.exec()
    sys.stdout.write(json.dumps(visit.found, indent=2) + "\n")
    sys.stdout.flush()
    os._exit(code)  # does not wait for Chromium's threads


def read_arguments() -> argparse.Namespace:
    """Return the arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--width", type=int, default=1000, help="width of the window, in CSS pixels")
    parser.add_argument("--scheme", choices=SCHEMES, default="light", help="colour scheme that the reader prefers")
    parser.add_argument("--top", type=int, default=LONGEST, help="height of the picture, in pixels")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="limit for the visit, in seconds")
    parser.add_argument("--picture", type=Path, help="file for a picture of the page")
    parser.add_argument("--pdf", type=Path, help="file for the printed page, on A4")
    parser.add_argument("--sheets", type=Path, help="file for a picture of the printed sheets")
    return parser.parse_args()


@final
class Visit:
    """Load a page, describe it with `QUESTION`, take a picture of it, and print it, one step after the other.

    No step has a fixed time, because a busy machine would exceed it. The page is asked until it has painted itself and
    gives the same answer twice. The screen may still show an older state, so the corners are marked. The picture is
    taken once the marks have appeared and vanished, two pictures agree, and they have more than one colour.

    found: the description of the page. `messages` come from its console, and `requests` ask for other files.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        from PySide6.QtCore import QTimer, QUrl
        from PySide6.QtWebEngineCore import qWebEngineChromiumVersion
        from PySide6.QtWebEngineWidgets import QWebEngineView

        self.asked, self.later = asked, QTimer.singleShot
        self.waiting, self.said, self.seen = "a page that is loaded", "", None
        self.found: dict[str, Any] = {"chromium": qWebEngineChromiumVersion(), "messages": [], "requests": []}
        self.view = QWebEngineView()
        self.page, self.watch = self._watched()
        self.view.setPage(self.page)
        self.view.resize(asked.width, 900)
        self.view.show()
        self.later(round(1_000 * asked.patience), self._give_up)
        self.page.load(QUrl.fromLocalFile(str(asked.page.resolve())))

    def _watched(self) -> tuple[QWebEnginePage, QWebEngineUrlRequestInterceptor]:
        """Return a page that reports its events to this visit, and the object that sees its requests."""
        from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineSettings, QWebEngineUrlRequestInterceptor

        page = QWebEnginePage(self.view)
        page.javaScriptConsoleMessage = self._hear
        watching = {"interceptRequest": lambda _, info: self._see(info)}
        watch = type("Watch", (QWebEngineUrlRequestInterceptor,), watching)()
        page.setUrlRequestInterceptor(watch)
        page.settings().setAttribute(QWebEngineSettings.WebAttribute.ShowScrollBars, False)
        page.loadFinished.connect(self._loaded)
        page.pdfPrintingFinished.connect(self._printed)
        return page, watch

    def _hear(self, level: object, message: str, line: int, source: str) -> None:
        self.found["messages"].append(f"line {line}: {message}")

    def _see(self, info: QWebEngineUrlRequestInfo) -> None:
        url = info.requestUrl()
        if url.scheme() != "data" and url.toLocalFile() != str(self.asked.page.resolve()):
            self.found["requests"].append(url.toString())

    def _loaded(self, well: bool) -> None:
        self.found["loaded"] = well
        self._ask(self._told)

    def _ask(self, then: Callable[[dict[str, Any]], None]) -> None:
        """Ask the page until it is painted and gives the same answer twice, then pass the answer on."""

        def heard(answer: str) -> None:
            settled = answer == self.said and json.loads(answer or "{}").get("painted")
            self.waiting, self.said = "a page that is painted", answer
            then(json.loads(answer)) if settled else self.later(AGAIN, lambda: self._ask(then))

        self.page.runJavaScript(QUESTION, 0, heard)

    def _told(self, answer: dict[str, Any]) -> None:
        self.found.update(answer)
        if self.asked.picture is None:
            self._drawn()
            return
        self.view.resize(self.asked.width, min(self.found["height"], self.asked.top, LONGEST))
        self._ask(self._draw)

    def _draw(self, answer: dict[str, Any]) -> None:
        """Take the picture once the page has its new size."""
        if answer["inner_height"] != self.view.height():
            self.later(AGAIN, lambda: self._ask(self._draw))
            return
        self.page.runJavaScript(MARKED)
        self._look()

    def _look(self) -> None:
        """Look at the page until its corners are marked, then remove the marks."""
        self.waiting = "a picture of the page as it was painted last"
        if corner_colors(self.view.grab().toImage()) != {MARK}:
            self.later(AGAIN, self._look)
            return
        self.page.runJavaScript(CLEARED)
        self._look_again()

    def _look_again(self) -> None:
        """Look at the page until the marks are gone and it looks the same twice, then save the picture."""
        before, self.seen = self.seen, self.view.grab().toImage()
        self.waiting = "two pictures of the page that agree and are not of one colour"
        if before != self.seen or MARK in corner_colors(self.seen) or is_blank(self.seen):
            self.later(AGAIN, self._look_again)
            return
        self.seen.save(str(self.asked.picture))
        self._drawn()

    def _drawn(self) -> None:
        from PySide6.QtCore import QMarginsF
        from PySide6.QtGui import QPageLayout, QPageSize

        if self.asked.pdf is None:
            self._end(0)
            return
        margins = QMarginsF(MARGIN, MARGIN, MARGIN, MARGIN)
        sheet = QPageSize(QPageSize.PageSizeId.A4)
        layout = QPageLayout(sheet, QPageLayout.Orientation.Portrait, margins, QPageLayout.Unit.Millimeter)
        self.page.printToPdf(str(self.asked.pdf), layout)

    def _printed(self, path: str, well: bool) -> None:
        from PySide6.QtPdf import QPdfDocument

        document = QPdfDocument()
        document.load(path)
        self.found["pages"] = document.pageCount() if well else 0
        if self.asked.sheets is not None:
            stack_sheets(document).save(str(self.asked.sheets))
        self._end(0)

    def _give_up(self) -> None:
        found = f"found none within {self.asked.patience:g} s"
        sys.stderr.write(f"{self.asked.page}: expected {self.waiting}, {found}; raise --patience on a busy machine.\n")
        self._end(1)

    def _end(self, code: int) -> None:
        from PySide6.QtWidgets import QApplication

        QApplication.exit(code)


def corner_colors(image: QImage) -> set[str]:
    """Return the colours of the top left and the bottom right corner of an image."""
    ends = (1, 1), (image.width() - 2, image.height() - 2)
    return {image.pixelColor(*end).name() for end in ends}


def is_blank(image: QImage) -> bool:
    """Return whether all pixels of an image have the same colour."""
    from PySide6.QtGui import QImage

    pixels = bytes(image.convertToFormat(QImage.Format.Format_RGB32).constBits())
    return pixels == pixels[:4] * (len(pixels) // 4)


def stack_sheets(document: QPdfDocument) -> QImage:
    """Return an image of all sheets of a document, from top to bottom."""
    from PySide6.QtCore import QSize, Qt
    from PySide6.QtGui import QImage, QPainter

    width, height = SHEET
    sheets = QImage(width, height * document.pageCount(), QImage.Format.Format_RGB32)
    sheets.fill(Qt.GlobalColor.white)
    painter = QPainter(sheets)
    for i in range(document.pageCount()):
        painter.drawImage(0, i * height, document.render(i, QSize(width, height)))
    painter.end()
    return sheets


if __name__ == "__main__":
    main()
