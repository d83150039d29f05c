#!/usr/bin/env python3
"""Opens a report in a headless Chromium and uses it as people do.

report.py PAGE.html [--pictures FOLDER]

Exit code 0: all checks passed; 1: some failed, with messages; 77: Chromium is not installed.
"""

import argparse
import base64
import pathlib
import sys
import time

import chromium

FIRST = "#table1 table"
NUMBER = f"{FIRST} tbody tr:nth-child(2) button.n"
PANEL = f"document.getElementById(document.querySelector('{NUMBER}').getAttribute('popovertarget'))"


def check(truth, message):
    if not truth:
        raise AssertionError(message)


def same(found, expected, what):
    check(found == expected, f"{what}: expected {expected!r}, found {found!r}")


def until(browser, script, what, seconds=5):
    """Waits until an expression is true."""
    end = time.monotonic() + seconds
    while not browser.run(script):
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        browser.listen(0.05)


def landmarks_and_names(browser):
    """Every control and picture has a name, and the page has its landmarks."""
    nodes = [n for n in browser.send("Accessibility.getFullAXTree")["nodes"] if not n.get("ignored")]
    role = lambda node: node.get("role", {}).get("value", "")
    name = lambda node: node.get("name", {}).get("value", "").strip()
    roles = [role(node) for node in nodes]
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        same(roles.count(landmark), 1, f"landmarks of the kind {landmark}")
    buttons = [node for node in nodes if role(node) == "button"]
    check(len(buttons) > 20, f"only {len(buttons)} buttons")
    for node in nodes:
        if role(node) in ("button", "image", "img", "SvgRoot", "dialog", "region", "navigation", "link", "heading"):
            check(name(node), f"a {role(node)} has no name")
    same(browser.run("document.querySelectorAll('h1').length"), 1, "headings of the first order")
    levels = browser.run("[...document.querySelectorAll('main h2, main h3, main h4')].map(h => +h.tagName[1])")
    check(all(b - a <= 1 for a, b in zip(levels, levels[1:])), f"a heading's order is left out: {levels}")
    bare = browser.run("[...document.querySelectorAll('main table')].filter(t => [...t.querySelectorAll('th')]"
                       ".some(th => !th.scope)).length")
    same(bare, 0, "tables with a heading that has no scope")


def column(browser, at):
    """The values of a column of the first table, block by block; None where there is no number."""
    return browser.run(f"""[...document.querySelector('{FIRST}').tBodies].map(body =>
        [...body.rows].slice(1).map(row => row.cells[{at}].dataset.v ?? null)
        .map(v => v === null ? null : Number(v)))""")


def is_sorted(blocks, falling):
    for values in blocks:
        numbers = [value for value in values if value is not None]
        if values != numbers + [None] * (len(values) - len(numbers)):
            return False
        if numbers != sorted(numbers, reverse=falling):
            return False
    return True


def sorting(browser):
    """By click and by key: best first, then the other way, then as it was."""
    heads = browser.run(f"[...document.querySelectorAll('{FIRST} thead th.num')].map(h => h.dataset.kind)")
    check("low" in heads and "high" in heads, f"columns of both directions: {heads}")
    for at, kind in enumerate(heads, start=1):
        selector = f"{FIRST} thead tr:last-child th:nth-of-type({at})"
        state = f"document.querySelector('{selector}').getAttribute('aria-sort')"
        before = column(browser, at)
        first, second = ("descending", "ascending") if kind == "high" else ("ascending", "descending")
        press = [lambda: browser.click(f"{selector} button"), lambda: browser.key("Enter"), lambda: browser.key(" ")]
        for act, expected in zip(press, (first, second, "none")):
            act()
            same(browser.run(state), expected, f"aria-sort of column {at}")
            found = column(browser, at)
            if expected == "none":
                same(found, before, f"column {at} as it was")
            else:
                check(is_sorted(found, expected == "descending"), f"column {at} is not {expected}: {found}")
    browser.click(f"{FIRST} thead th[data-kind=text] button")
    names = browser.run(f"[...document.querySelector('{FIRST}').tBodies[0].rows].slice(1)"
                        ".map(row => row.cells[0].textContent)")
    same(names, sorted(names, key=str.lower), "methods by name")
    browser.key("Enter")
    browser.key("Enter")
    others = browser.run("""[...document.querySelectorAll('table.sortable:not(.numbers) thead button')].map(b => {
        b.click(); const s = b.closest('th').ariaSort; b.click(); b.click(); return s })""")
    check(others and all(each in ("ascending", "descending") for each in others), f"the other tables: {others}")


def opened(browser):
    return browser.run(f"{PANEL}.matches(':popover-open')")


def panel(browser):
    """By click and by key; it shows seeds, keys and commands, and Escape or a click elsewhere closes it."""
    glance = browser.run(f"document.querySelector('{NUMBER}').title")
    check("interval" in glance or "seed" in glance, f"the tooltip of a number is {glance!r}")
    for way, act in (("a click", lambda: browser.click(NUMBER)), ("Enter", lambda: browser.key("Enter"))):
        act()
        check(opened(browser), f"{way} does not open the panel")
        text = browser.run(f"{PANEL}.innerText")
        for part in [browser.run(f"{PANEL}.querySelector('h3').textContent"), "95 % interval", "evaluate full",
                     "seesaw run tiny", "seesaw explain --suite tiny train"]:
            check(part in text, f"the panel does not contain {part!r}: {text}")
        seeds = browser.run(f"[...{PANEL}.querySelector('table').tBodies[0].rows].map(row => [...row.cells].map(c => c.textContent))")
        check(len(seeds) == 3 and all(len(row) == 4 and all(row) for row in seeds), f"the seeds of a number: {seeds}")
        check("null" not in text and "undefined" not in text and "NaN" not in text, f"the panel has a hole: {text}")
        inside = browser.run(f"(() => {{ const b = {PANEL}.getBoundingClientRect();"
                             "return b.left >= 0 && b.top >= 0 && b.right <= innerWidth && b.bottom <= innerHeight })()")
        check(inside, "the panel extends beyond the window")
        covers = browser.run(f"""(() => {{ const b = document.querySelector('{NUMBER}').getBoundingClientRect();
            return {PANEL}.contains(document.elementFromPoint((b.left + b.right) / 2, (b.top + b.bottom) / 2)) }})()""")
        check(not covers, "the panel covers its number")
        browser.key("Escape")
        check(not opened(browser), "Escape does not close the panel")
        check(browser.run(f"document.activeElement === document.querySelector('{NUMBER}')"), "the focus does not come back")
    browser.click(NUMBER)
    browser.click("h1")
    check(not opened(browser), "a click elsewhere does not close the panel")
    browser.click(NUMBER)
    browser.run(f"{PANEL}.querySelector('a').click()")
    check(browser.run("document.getElementById('trainings').open"), "the link to the keys does not open them")
    browser.run("document.getElementById('trainings').open = false; scrollTo(0, 0)")


def arrows(browser):
    """One tabulator stop per table; arrows go from number to number."""
    stops = browser.run(f"[...document.querySelectorAll('{FIRST} button.n')].filter(b => b.tabIndex === 0).length")
    same(stops, 1, "tabulator stops among a table's numbers")
    browser.run(f"document.querySelector('{NUMBER}').focus()")
    place = "(() => { const c = document.activeElement.closest('td'); return [c.parentElement.rowIndex, c.cellIndex] })()"
    row, at = browser.run(place)
    browser.key("ArrowRight")
    same(browser.run(place), [row, at + 1], "to the right")
    browser.key("ArrowDown")
    same(browser.run(place), [row + 1, at + 1], "down")
    browser.key("ArrowUp")
    browser.key("ArrowLeft")
    same(browser.run(place), [row, at], "and back")


def zoom(browser):
    """A figure opens large, and can be scaled and moved."""
    image = "document.querySelector('dialog.zoom img')"
    browser.click("figure .enlarge")
    check(browser.run("document.querySelector('dialog.zoom').open"), "the figure does not open")
    same(browser.run(f"{image}.src"), browser.run("document.querySelector('figure img').src"), "the enlarged figure")
    until(browser, f"{image}.naturalWidth > 0", "the figure is no image")
    width = f"{image}.offsetWidth"
    before = browser.run(width)
    browser.key("+")
    until(browser, f"{width} > {before}", "+ does not enlarge")
    at = "document.querySelector('dialog .canvas').scrollLeft"
    for way, act in (("an arrow", lambda: browser.key("ArrowRight")),
                     ("the wheel", lambda: browser.mouse("mouseWheel", browser.middle("dialog .canvas"), deltaX=-20, deltaY=0))):
        was = browser.run(at)
        act()
        until(browser, f"{at} !== {was}", f"{way} does not move the figure")
    browser.key("0")
    same(browser.run(width), before, "0 shows the whole figure")
    browser.key("Escape")
    until(browser, "!document.querySelector('dialog.zoom').open", "Escape closes the figure")


def spots(browser):
    """A point of a curve says what it stands for, by pointer and by key; Tab stops once per figure."""
    points = "[...document.querySelectorAll('#figure4 .drawing i')]"
    check(browser.run(f"{points}.length") >= 4, "the points of figure 4")
    same(browser.run(f"{points}.filter(p => p.tabIndex === 0).length"), 1, "tabulator stops of a figure")
    tip = "document.querySelector('#figure4 .tip')"
    check(browser.run(f"{tip}.hidden"), "a tip is shown before anything is asked")
    browser.run(f"{points}[0].focus()")
    first = browser.run(f"{tip}.textContent")
    check("r = 0" in first and "seeds" in first and "95 % interval" in first, f"a point says {first!r}")
    browser.key("ArrowRight")
    second = browser.run(f"{tip}.textContent")
    check(second != first and not browser.run(f"{tip}.hidden"), "an arrow does not go to the next point")
    inside = browser.run(f"(() => {{ const [t, d] = [{tip}, {tip}.parentElement].map(e => e.getBoundingClientRect());"
                         "return t.left >= d.left - 1 && t.right <= d.right + 1 })()")
    check(inside, "the tip extends beyond its figure")
    browser.key("Escape")
    check(browser.run(f"{tip}.hidden"), "Escape does not close the tip")
    browser.mouse("mouseMoved", browser.middle("#figure4 .drawing i:nth-of-type(3)"))
    until(browser, f"!{tip}.hidden", "a pointer does not open the tip")
    browser.run("document.activeElement.blur()")


CONTRAST = """(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = numbers(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest('script, .aside, [popover]:not(:popover-open), dialog')) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.add(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`);
  }
  return [...poor];
})()"""


def themes(browser):
    """Light and dark as the system says, the other one by a button, both with enough contrast."""
    paper = "getComputedStyle(document.body).backgroundColor"
    found = {}
    for scheme in ("light", "dark"):
        browser.media(scheme)
        found[scheme] = browser.run(paper)
        same(browser.run(CONTRAST), [], f"texts with too little contrast, {scheme}")
    check(found["light"] != found["dark"], f"both themes have the paper {found['light']}")
    browser.click(".theme")
    same(browser.run(paper), found["light"], "the button's theme")
    same(browser.run(CONTRAST), [], "texts with too little contrast, chosen")
    browser.click(".theme")
    same(browser.run(paper), found["dark"], "the button's theme again")
    browser.run("delete document.documentElement.dataset.theme; try { localStorage.clear() } catch {}")
    browser.media("light")


def narrow(browser):
    """360 px: the page does not scroll sideways, its tables do, and their first column stays."""
    browser.size(360, 740, mobile=True)
    for state in ("closed", "open"):
        wide = browser.run("document.scrollingElement.scrollWidth")
        check(wide <= 360, f"the page is {wide} px wide with its details {state}")
        browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    left = browser.run(f"""(() => {{
        const box = document.querySelector('{FIRST}').closest('.scroll');
        const cell = box.querySelector('tbody th[scope=row]');
        const before = cell.getBoundingClientRect().left;
        box.scrollLeft = 200;
        return [box.scrollLeft > 0, before - cell.getBoundingClientRect().left];
    }})()""")
    check(left[0] and abs(left[1]) < 2, f"the first column moved by {left[1]} px (scrolled: {left[0]})")
    browser.click(NUMBER)
    check(opened(browser), "a number does not open")
    check(browser.run(f"{PANEL}.getBoundingClientRect().right") <= 360, "the panel is wider than the screen")
    browser.key("Escape")
    browser.run("document.querySelectorAll('details').forEach(d => d.open = false)")
    browser.size(1280, 900)


def printing(browser, pictures):
    """On paper nothing can be pressed, and nothing is wider than the page."""
    browser.media("dark", "print")
    same(browser.run(CONTRAST), [], "texts with too little contrast, printed")
    check(browser.run("getComputedStyle(document.querySelector('nav')).display") == "none", "the navigation is printed")
    browser.media("light")
    pdf = base64.b64decode(browser.send("Page.printToPDF", printBackground=False, preferCSSPageSize=True)["data"])
    check(pdf.startswith(b"%PDF-") and len(pdf) > 20_000, f"the PDF has {len(pdf)} bytes")
    if pictures:
        (pictures / "print.pdf").write_bytes(pdf)


def without_script(browser, url):
    """Everything can be read, and the only buttons are those that work."""
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(url)
    document = browser.send("DOM.getDocument")["root"]["nodeId"]
    count = lambda selector: len(browser.send("DOM.querySelectorAll", nodeId=document, selector=selector)["nodeIds"])
    same(count("button:not([popovertarget])"), 0, "buttons without a script")
    browser.click(NUMBER)
    check(opened(browser), "a number does not open without a script")
    check(count(f"{FIRST} td .v") > 10 and count("#numbers details table") > 1, "numbers without a script")
    browser.send("Emulation.setScriptExecutionDisabled", value=False)


def forbidden(browser, url):
    """The page's own policy refuses requests, whatever runs in it."""
    browser.open(url)
    answer = browser.run("fetch('http://127.0.0.1:9/').then(() => 'answered', () => 'refused')")
    same(answer, "refused", "a request of the page")
    check(any("Content Security Policy" in line for line in browser.complaints()), "the policy was not what refused it")


def look(browser, pictures):
    for scheme in ("light", "dark"):
        browser.media(scheme)
        for name, (width, height, mobile) in {"wide": (1280, 900, False), "phone": (360, 740, True)}.items():
            browser.size(width, height, mobile)
            browser.run("scrollTo(0, 0)")
            height = browser.run("document.documentElement.scrollHeight")
            browser.size(width, min(height, 9000), mobile)
            browser.listen(0.3)
            browser.picture(pictures / f"{scheme}-{name}.png")
    browser.size(1280, 900)
    browser.media("light")
    for scheme in ("light", "dark"):
        browser.media(scheme)
        browser.click(NUMBER)
        browser.listen(0.3)
        browser.picture(pictures / f"{scheme}-panel.png")
        browser.key("Escape")
        browser.click("figure .enlarge")
        browser.listen(0.3)
        browser.picture(pictures / f"{scheme}-zoom.png")
        browser.key("Escape")
    browser.media("light")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path)
    given = parser.parse_args()
    program = chromium.find()
    if not program:
        print("SKIPPED: Chromium is not installed, so the report was not opened")
        return 77
    url = given.page.resolve().as_uri()
    browser = chromium.Browser(program)
    failed = 0
    try:
        browser.size(1280, 900)
        browser.media("light")
        browser.open(url)

        def silence():
            same(browser.complaints(), [], "messages on the console")
            same(sorted({each for each in browser.requests() if each != url and not each.startswith("data:")}), [],
                 "requests")

        checks = [
            ("landmarks and names", lambda: landmarks_and_names(browser)),
            ("sorting", lambda: sorting(browser)),
            ("details of a number", lambda: panel(browser)),
            ("arrows", lambda: arrows(browser)),
            ("points of figures", lambda: spots(browser)),
            ("figures at full size", lambda: zoom(browser)),
            ("light and dark", lambda: themes(browser)),
            ("360 px", lambda: narrow(browser)),
            ("print", lambda: printing(browser, given.pictures)),
            ("without a script", lambda: without_script(browser, url)),
            ("no complaint, no request", silence),
            ("requests are refused", lambda: forbidden(browser, url)),
        ]
        if given.pictures:
            given.pictures.mkdir(parents=True, exist_ok=True)
            look(browser, given.pictures)
        for name, act in checks:
            try:
                act()
                print(f"ok      {name}")
            except (AssertionError, chromium.Gone) as problem:
                failed += 1
                print(f"FAILED  {name}: {problem}")
                browser.key("Escape")
    finally:
        browser.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
