"""The page in a real browser: what its scripts drew, that it fetched nothing, and that user text stays text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from partitioner.report.report import Report

FLAGS = [
    "--headless",
    "--no-sandbox",  # a container's root may not have one
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=10000",
    "--window-size=500,1500",  # narrow, and the page gets a scroll bar below its first figures
]
PROBE = """<script>
addEventListener("load", () => {
  document.body.dataset.requests = performance.getEntriesByType("resource").length;
  document.body.dataset.errors = window.found.join("; ");
  const width = element => element.getBoundingClientRect().width;
  const wider = drawn => width(drawn) > width(drawn.parentElement);
  document.body.dataset.wider = [...document.querySelectorAll(".main-svg")].filter(wider).length;
});
</script></body>"""
CATCH = '<script>window.found = []; addEventListener("error", e => window.found.push(e.message));</script><head>'
HOSTILE = "</script><img src=x onerror=\"document.body.dataset.hacked='yes'\"><b>bold</b> & co"


@pytest.fixture(scope="module")
def browser() -> str:
    names = [os.environ.get("PARTITIONER_BROWSER", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium; install it (apt-get install chromium) or name one in PARTITIONER_BROWSER")
    return found


def rendered(browser: str, html: str, folder: Path) -> str:
    """The document after its scripts ran."""
    page = folder / "page.html"
    page.write_text(html.replace("<head>", CATCH, 1).replace("</body>", PROBE), encoding="utf-8")
    command = [browser, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def drawn(dom: str, figure: str, what: str) -> int:
    """How many elements of a class one figure holds."""
    start = dom.index(f'id="figure-{figure}"')
    end = dom.find("<section>", start)
    return len(re.findall(rf'class="{what}"', dom[start:end]))


@pytest.mark.browser
def test_the_page_draws_every_attempt_fetches_nothing_and_escapes_user_text(browser, troubled, tmp_path):
    run = troubled(HOSTILE)
    run.write_phases({"describe": 1.0, "run": 9.0}, 12.0)
    dom = rendered(browser, Report.of(run).to_html(), tmp_path)
    assert drawn(dom, "timeline", "point") == 6  # bars: 4 committed, 1 failed, 1 lost
    assert drawn(dom, "call", "point") == 3  # two phases, and what is between them
    assert drawn(dom, "seconds", "point") == 4
    assert drawn(dom, "memory", "point") == 8  # peak and growth of each
    assert 'data-requests="0"' in dom
    assert 'data-wider="0"' in dom  # the scroll bar that a long page gets takes nothing from the figures
    assert 'data-errors=""' in dom
    assert "data-hacked" not in dom
    assert "<img" not in dom
    assert "&lt;img src=x" in dom  # it is shown, as text


@pytest.mark.browser
def test_the_page_of_a_run_that_never_started_says_so(browser, hands, tmp_path):
    run = hands.write_run(tmp_path / "r", None, [], [])
    dom = rendered(browser, Report.of(run).to_html(), tmp_path)
    assert "No sub-task was started" in dom
    assert "None." in dom
    for said in ("every attempt committed", "cost None", "No prediction: costs are"):
        assert said not in dom
    assert "figure-timeline" not in dom
    assert 'data-errors=""' in dom
