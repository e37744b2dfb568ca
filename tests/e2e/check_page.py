"""Looks at a report in a real browser.

usage: check_page.py PAGE WIDTH OUT.png [--dark]      prints what the browser drew as one JSON object

The page is opened headless with a script of the test's own added, which points at the middle of the first chart. The
object holds: "drawn" (the page's script came to its end), "errors" (of scripts), "panels" (title, lines drawn, bands,
dots, lines at zero, whether a coordinate is bad), "tip" (what the pointer shows), "wide" (pixels by which the content
is wider than the window), "text" (all there is to read), "colors" (different ones in the screenshot) and "background"
(the commonest one).
"""
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from html import unescape
from pathlib import Path

from PIL import Image

PROBE = """<script>
addEventListener("load", () => setTimeout(() => {
  const image = document.querySelector(".chart svg");
  if (image) {
    const box = image.getBoundingClientRect();
    image.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2, clientY: box.top + 50}));
  }
  const count = (panel, what) => panel.querySelectorAll(`.chart ${what}`).length;
  const seen = {
    drawn: document.documentElement.dataset.drawn === "yes", errors: window.probeErrors,
    panels: [...document.querySelectorAll(".panel")].map((panel) => ({title: panel.querySelector("h3").textContent,
      lines: [...panel.querySelectorAll(".chart .line")].filter((line) => line.getAttribute("d").includes("L")).length,
      bands: count(panel, ".band"), dots: count(panel, ".dot"), zero: count(panel, ".zero"),
      bad: /NaN|Infinity|undefined/.test(panel.querySelector(".chart").outerHTML)})),
    tip: document.querySelector(".tip:not([hidden])")?.textContent ?? "",
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    text: document.querySelector("main").innerText,
  };
  const result = document.createElement("pre");
  result.id = "probe";
  result.hidden = true;
  result.textContent = JSON.stringify(seen);
  document.body.append(result);
}, 50));
</script>"""
ERRORS = """<script>
window.probeErrors = [];
onerror = (message) => { window.probeErrors.push(String(message)); };
</script>"""


def browse(page, width, dark, screenshot):
    """The document after the scripts have run."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--user-data-dir={profile}", f"--window-size={width},2400", "--virtual-time-budget=3000",
                   "--dump-dom", f"--screenshot={screenshot.resolve()}"]
        if dark:
            command.append("--force-dark-mode")
        return subprocess.run([*command, page.resolve().as_uri()], check=True, capture_output=True, timeout=240,
                              text=True).stdout


def main():
    page, width, out, dark = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), "--dark" in sys.argv
    html = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        probed = Path(folder, "probed.html")
        html = html.replace("<head>", "<head>" + ERRORS, 1).replace("</body>", PROBE + "</body>")
        probed.write_text(html, encoding="utf-8")
        dom = browse(probed, width, dark, out)
    found = re.search(r'<pre id="probe"[^>]*>(.*?)</pre>', dom, re.DOTALL)
    if not found:
        sys.exit("the browser ran no script of the page")
    seen = json.loads(unescape(found[1]))
    with Image.open(out) as image:
        colors = Counter(image.convert("RGB").get_flattened_data())
    seen["colors"], seen["background"] = len(colors), colors.most_common(1)[0][0]
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
