"""A page in headless Chromium, as readers with a mouse, a keyboard, a phone or a printer meet it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from email_scheduler_tests.e2e.dagster_ui import QUIET

DESKTOP: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 390, "height": 844}

# Texts that can be seen, with the contrast that they have and the one that WCAG AA asks for.
_TOO_FAINT = """
() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [x, y, z] = [r, g, b].map(v => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length && (colour.length < 4 || colour[3] === 1)) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const lights = [luminance(colour), luminance(background(element))].sort((a, b) => b - a);
    const ratio = (lights[0] + 0.05) / (lights[1] + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const text = walker.currentNode.data.trim().slice(0, 40);
    if (ratio < (isLarge ? 3 : 4.5)) found.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return found;
}
"""
# What the keyboard reaches has to be seen to be reached.
_FOCUSED = """
() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const style = getComputedStyle(element);
  return {
    name: (element.getAttribute('aria-label') || element.innerText || element.tagName).slice(0, 60),
    isMarked: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
  };
}
"""
_FOCUSABLE = "a[href], summary, button, input, [tabindex='0']"


@dataclass
class Reader:
    """Somebody who has a page open.

    Attributes:
        page: The page.
        complaints: What the console of the browser said, and what the page asked of others.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)

    def resize(self, size: dict[str, int]) -> None:
        """Give the window another size."""
        self.page.set_viewport_size(size)  # type: ignore[arg-type]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        wider: int = self.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        return wider

    def too_faint(self) -> list[str]:
        """Return the texts whose contrast is less than WCAG AA asks for."""
        found: list[str] = self.page.evaluate(_TOO_FAINT)
        return found

    def pictures_without_text(self) -> int:
        """Return how many pictures say nothing to those who do not see them."""
        return self.page.locator(
            "img:not([alt]), img[alt=''], svg:not([role='img']):not([aria-hidden])"
        ).count()

    def tab_through(self) -> list[dict[str, Any]]:
        """Go through the page with the Tab key; return what it stops at."""
        stops = []
        for _ in range(self.page.locator(_FOCUSABLE).count()):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(_FOCUSED)
            if stop is None:
                break
            stops.append(stop)
        return stops

    def printed_pages(self) -> int:
        """Return how many sheets the page takes."""
        return self.page.pdf(format="Letter").count(b"/Type /Page\n")

    def keep_screenshot(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=True, animations="disabled")


def assert_good_page(reader: Reader, screenshots: Path, name: str) -> None:
    """Look at a page as each kind of reader does; screenshots of both widths are kept."""
    for width, size in (("desktop", DESKTOP), ("phone", PHONE)):
        reader.resize(size)
        assert reader.overflow() <= 0, width
        assert reader.too_faint() == [], width
        reader.keep_screenshot(screenshots / f"{name}-{width}.png")
    assert reader.pictures_without_text() == 0
    stops = reader.tab_through()
    assert stops
    assert all(stop["isMarked"] for stop in stops), stops
    assert reader.printed_pages() > 0
    assert reader.complaints == []


@contextmanager
def reading(path: Path, browser_path: str) -> Iterator[Reader]:
    """Open a page that lies in a file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        page = browser.new_page(viewport=DESKTOP, locale="en-US")  # type: ignore[arg-type]
        reader = Reader(page)
        page.on("console", lambda message: reader.complaints.append(message.text))
        page.on("pageerror", lambda error: reader.complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:")) else reader.complaints.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        try:
            yield reader
        finally:
            browser.close()
