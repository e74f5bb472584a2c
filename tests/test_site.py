"""The built site, where there is one: its links, and how a browser shows it."""

import json
import re
import shutil
import subprocess
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import sklearn_sqrtlasso
from sklearn_sqrtlasso import SqrtLasso
from sklearn_sqrtlasso.estimators.persistence import SITE as DOCUMENTATION

ROOT = Path(sklearn_sqrtlasso.__file__).parents[1]
SITE = ROOT / "docs" / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
PAGES = {  # whether they have formulas
    "index.html": False,
    "user_guide/sqrt_lasso.html": True,
    "api/generated/sklearn_sqrtlasso.SqrtLasso.html": True,
    "gallery/plot_pivotal_regression.html": False,
}
SEARCHED = {
    "anomaly": "user_guide/troubleshooting",
    "categorical": "user_guide/troubleshooting",
    "confidence interval": "user_guide/sqrt_lasso",
    "convergence warning": "user_guide/troubleshooting",
    "electrocardiogram": "user_guide/signals",
    "joblib": "user_guide/deployment",
    "missing values": "user_guide/troubleshooting",
    "pickle": "user_guide/troubleshooting",
    "png": "start",
    "prediction interval": "user_guide/sqrt_lasso",
    "reproducible": "user_guide/troubleshooting",
    "save model": "user_guide/troubleshooting",
}
WIDTHS = {"desktop": 1280, "phone": 390}
CONTRAST = 4.5  # of text, as WCAG 2 has it

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(),
    reason="the site is not built: python -m sphinx -W -b html docs docs/_build/html",
)


class Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = {"", "top"}, set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        self.links |= {given[key] for key in ("href", "src") if given.get(key)}


def test_internal_links_and_their_anchors_exist():
    pages = {path: Page(path) for path in SITE.rglob("*.html")}
    broken, n_links = [], 0
    for path, page in pages.items():
        for link in map(urlsplit, page.links):
            if link.scheme or link.netloc or "_static" in path.parts:
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            target = target / "index.html" if target.is_dir() else target
            n_links += 1
            known = pages.get(target)
            lost = known is not None and unquote(link.fragment) not in known.anchors
            if lost or not target.exists():
                broken.append(f"{path.relative_to(SITE)}: {link.geturl()}")
    assert n_links > 1000
    assert not sorted(broken)


def test_estimators_and_their_guides_link_to_each_other():
    api = list((SITE / "api" / "generated").glob("sklearn_sqrtlasso.[A-Z]*.html"))
    assert len(api) > 8
    for path in api:
        text, links = path.read_text(encoding="utf-8"), Page(path).links
        guide = re.search(
            r"page of the user guide.*?user_guide/(\w+\.html)", text, re.S
        )
        back = Page(SITE / "user_guide" / guide[1]).links
        assert any(urlsplit(link).path.endswith(path.name) for link in back), guide[1]
        assert any("gallery/plot_" in link for link in links), path
        assert any("_modules/" in link for link in links), path  # its source


def test_diagrams_and_the_list_for_machines_name_pages_of_the_site():
    link = SqrtLasso()._get_doc_link()
    text = (SITE / "llms.txt").read_text(encoding="utf-8")
    for address in [link, *re.findall(r"\]\((.*?)\)", text)]:
        assert address.startswith(DOCUMENTATION)
        assert (SITE / address.removeprefix(DOCUMENTATION)).exists(), address


def pages_of(index, words):
    """Return the pages that the search of the site finds for words."""
    stemmer = pytest.importorskip("snowballstemmer").stemmer("english")  # of Sphinx
    stem, found = stemmer.stemWord, set(range(len(index["docnames"])))
    for word in words.lower().split():
        listed = [index[part].get(stem(word), []) for part in ("terms", "titleterms")]
        found &= {n for of in listed for n in (of if isinstance(of, list) else [of])}
    return {index["docnames"][number] for number in found}


def test_words_that_people_search_for_find_their_page():
    text = (SITE / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    lost = {
        words: page
        for words, page in SEARCHED.items()
        if page not in pages_of(index, words)
    }
    assert not lost


def test_no_page_needs_a_network():
    for path in SITE.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="(https?:[^"]*)', text)
        styles = re.findall(r'<link[^>]*stylesheet[^>]*href="(https?:[^"]*)', text)
        assert not [*fetched, *styles], path


PROBE = """
<!doctype html><title>probe</title><body><script>
const wait = ms => new Promise(done => setTimeout(done, ms));
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const light = colour => channels(colour).slice(0, 3).map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
function ground(view, element) {
  for (; element; element = element.parentElement) {
    const colour = view.getComputedStyle(element).backgroundColor;
    if ((channels(colour)[3] ?? 1) > 0.5) return colour;
  }
  return "rgb(255, 255, 255)";
}
function contrast(view, element) {
  const both = [view.getComputedStyle(element).color, ground(view, element)].map(light);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}
async function look(page, width, theme) {
  localStorage.setItem("mode", theme);
  localStorage.setItem("theme", theme);
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900; frame.src = "/" + page;
  const loaded = new Promise(done => frame.onload = done);
  document.body.append(frame);
  await loaded;
  const view = frame.contentWindow, root = view.document.documentElement;
  for (let i = 0; i < 100 && !view.MathJax?.startup?.promise; i++) await wait(20);
  await view.MathJax?.startup?.promise;
  await wait(100);
  const texts = [...root.querySelectorAll("article p, article li, article td")];
  const seen = {
    page, width, theme, shown: root.dataset.theme,
    beyond: root.scrollWidth - root.clientWidth,
    formulas: root.querySelectorAll("article .math").length,
    rendered: root.querySelectorAll("article mjx-container").length,
    raw: texts.filter(e => /\\\\\\(|\\\\\\[/.test(e.innerText)).length,
    images: [...root.querySelectorAll("article img")].length,
    lost: [...root.querySelectorAll("article img")]
      .filter(e => e.complete && !e.naturalWidth).length,
    contrast: Math.min(...texts.filter(e => e.innerText).map(e => contrast(view, e))),
  };
  frame.remove();
  return seen;
}
(async () => {
  const seen = [];
  for (const page of PAGES) for (const width of WIDTHS)
    for (const theme of ["light", "dark"]) seen.push(await look(page, width, theme));
  document.body.innerHTML = "<pre>" + JSON.stringify(seen) + "</pre>";
})();
</script></body>
"""


class Server(SimpleHTTPRequestHandler):
    """Serve the site, and a page that looks at its pages."""

    def do_GET(self):
        if self.path != "/probe.html":
            return super().do_GET()
        lists = {"PAGES": list(PAGES), "WIDTHS": list(WIDTHS.values())}
        probe = PROBE
        for name, values in lists.items():
            probe = probe.replace(f"of {name}", f"of {json.dumps(values)}")
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(probe.encode())
        return None

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Return what a browser measured on each page, and its console."""
    if BROWSER is None:
        pytest.skip(f"no browser is installed: one of {', '.join(BROWSERS)}")
    handler = partial(Server, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        profile = tmp_path_factory.mktemp("profile")
        command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu"]
        command += [f"--user-data-dir={profile}", "--enable-logging=stderr", "--v=0"]
        command += ["--window-size=1400,1000", "--virtual-time-budget=60000"]
        address = f"http://127.0.0.1:{server.server_port}/probe.html"
        done = subprocess.run(
            [*command, "--dump-dom", address],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        server.shutdown()
    found = re.search(r"<pre>(\[.*\])</pre>", done.stdout, re.S)
    assert found, done.stdout[-500:] + done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    console = [line for line in console if "[PST]: " not in line]
    return json.loads(found[1].replace("&amp;", "&")), console


def test_pages_are_shown_at_all_widths_and_in_both_themes(seen):
    looks, _ = seen
    assert len(looks) == 2 * len(PAGES) * len(WIDTHS)
    assert all(look["shown"] == look["theme"] for look in looks)
    assert {look["page"] for look in looks if look["formulas"]} >= {
        page for page, formulas in PAGES.items() if formulas
    }


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(seen, width):
    beyond = {
        look["page"]: look["beyond"]
        for look in seen[0]
        if look["width"] == WIDTHS[width]
    }
    assert set(beyond.values()) == {0}, beyond


def test_formulas_are_rendered(seen):
    for look in seen[0]:
        assert look["rendered"] == look["formulas"], look
        assert look["raw"] == 0, look


def test_pictures_are_found(seen):
    assert [look for look in seen[0] if look["lost"]] == []


def test_text_is_read_in_both_themes(seen):
    assert min(look["contrast"] for look in seen[0]) >= CONTRAST


def test_the_console_has_no_error(seen):
    assert seen[1] == []
