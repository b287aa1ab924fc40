"""Drive a headless Chromium: open pages as a reader of some width and colour scheme, and measure them."""

from __future__ import annotations

import base64
import importlib.util
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image

OVERFLOW = """
const width = document.documentElement.clientWidth;
const scrolls = element => element
  && (/auto|scroll/.test(getComputedStyle(element).overflowX) || getComputedStyle(element).position === 'fixed'
    || scrolls(element.parentElement));
return [...document.body.querySelectorAll('*')].filter(each => {
  const box = each.getBoundingClientRect();
  return box.width > 1 && box.height > 1 && box.right > width + 1 && !scrolls(each)
    && getComputedStyle(each).visibility === 'visible';
}).map(each => each.tagName.toLowerCase() + '.' + each.className).slice(0, 5);
"""
"""The elements that reach beyond the right edge, except within a part that scrolls or a drawer."""

CONTRAST = """
const parse = text => {
  const context = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
  context.fillStyle = text; context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const luminance = color => {
  const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = color.slice(0, 3).map(value => linear(value / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const ground = element => {
  const layers = [];
  for (let each = element; each; each = each.parentElement) layers.push(parse(getComputedStyle(each).backgroundColor));
  const sheet = matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  return layers.reverse().reduce((below, top) => over(top, below), sheet);
};
const found = [];
const walker = document.createTreeWalker(document.querySelector(arguments[0]), NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, style = getComputedStyle(element);
  if (!walker.currentNode.textContent.trim() || !element.getClientRects().length || style.visibility !== 'visible'
      || element.closest('script, style, noscript, svg, .hidden')) continue;
  const below = ground(element), text = over(parse(style.color), below);
  const [high, low] = [luminance(text), luminance(below)].sort((a, b) => b - a);
  const words = walker.currentNode.textContent.trim().slice(0, 40);
  found.push([(high + 0.05) / (low + 0.05), element.tagName + ': ' + words]);
}
return found.sort((a, b) => a[0] - b[0])[0];
"""
"""The lowest contrast of text against its ground, as WCAG defines it, and that text."""


def missing() -> str:
    """The reason why Chromium cannot be driven here, or an empty text."""
    if importlib.util.find_spec("selenium") is None:
        return "selenium is missing: pip install -e '.[dev]'"
    programs = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(programs)} missing: apt-get install chromium chromium-driver" if programs else ""


@final
class Browser:
    """A window of Chromium.

    driver: the driver of selenium.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def look(
        self,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        scripts: bool = True,
        media: str = "screen",
        still: bool = False,
    ) -> None:
        """Become a reader with a window of this size, of this colour scheme, with or without JavaScript and motion."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if still else ""}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme, motion]})
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})

    def open(self, page: Path) -> None:
        """Open a file, and wait until all its pictures are decoded."""
        self.driver.get(page.resolve().as_uri())
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "Promise.all([...document.images].filter(each => each.src).map(each => each.decode().catch(() => 0)))"
            ".then(() => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def ask(self, script: str, *arguments: object) -> Any:
        """Return the value of a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """Return the messages of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def overflow(self) -> list[str]:
        """Return the elements that reach beyond the right edge."""
        return list(self.ask(OVERFLOW))

    def contrast(self, within: str = "body") -> tuple[float, str]:
        """Return the lowest contrast of text within an element, and that text."""
        value, text = self.ask(CONTRAST, within)
        return float(value), str(text)

    def hover(self, selector: str, across: float, down: float) -> None:
        """Move the pointer into an element, to shares of its width and height, after scrolling to it."""
        box = self.ask(
            "const each = document.querySelector(arguments[0]); each.scrollIntoView({block: 'center'});"
            "const box = each.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]",
            selector,
        )
        place = {"x": box[0] + across * box[2], "y": box[1] + down * box[3]}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", **place})

    def press(self, key: str) -> None:
        """Press and release a key, in the element that has the focus."""
        for kind in ("keyDown", "keyUp"):
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": key})

    def pixels(self, selector: str) -> np.ndarray:
        """Return the pixels of a canvas, [H, W, 4]."""
        uri = self.ask("return document.querySelector(arguments[0]).toDataURL('image/png')", selector)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))

    def paper(self) -> bytes:
        """Return the printed page as a PDF file."""
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {})["data"])

    def screenshot(self, path: Path) -> None:
        """Save a picture of the window."""
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium for the block."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
