#!/usr/bin/env python3
"""Opens report.html, the page that the tests of the room `report` hold against its story, in a headless Chromium, wide
and narrow, light and dark and on paper. Fails when it is wider than its window, when anything is loaded, or when the
browser complains. Writes a picture of each look into a folder; with --write the wide, light one replaces report.png.

    python3 tests/report/look.py [--write] [FOLDER]

Without a browser it says so and ends well. Nothing is installed and no network is used.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-lcd-text", "--hide-scrollbars", "--remote-debugging-pipe", "--disable-dev-shm-usage")
# Name, width in CSS pixels, colours, medium.
LOOKS = (
    ("wide-light", 1200, "light", "screen"),
    ("wide-dark", 1200, "dark", "screen"),
    ("narrow-light", 400, "light", "screen"),
    ("narrow-dark", 400, "dark", "screen"),
    ("paper", 780, "light", "print"),
)
# Bytes that the picture of the docs may have.
MOST = 150_000


class Browser:
    """A Chromium that is spoken to over a pair of pipes, which it has as its descriptors 3 and 4."""

    def __init__(self, program, profile):
        down, self.to = os.pipe()
        self.back, up = os.pipe()

        def descriptors():
            # High numbers first, so that none is closed by the other's coming.
            ours = os.dup(down), os.dup(up)
            os.dup2(ours[0], 3)
            os.dup2(ours[1], 4)

        command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.child = subprocess.Popen(command, preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(down), os.close(up)
        self.number, self.rest, self.events = 0, b"", []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def read(self):
        while b"\0" not in self.rest:
            part = os.read(self.back, 1 << 20)
            if not part:
                sys.exit("the browser ended")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if hasattr(self, "session"):
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while True:
            message = self.read()
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait(self, method):
        while not any(event["method"] == method for event in self.events):
            self.events.append(self.read())

    def value(self, expression):
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


def look(browser, page, name, width, colours, medium):
    """The picture of one look, and what is wrong with it."""
    browser.events.clear()
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    features = [{"name": "prefers-color-scheme", "value": colours}]
    browser.ask("Emulation.setEmulatedMedia", media=medium, features=features)
    browser.ask("Page.navigate", url=page.as_uri())
    browser.wait("Page.loadEventFired")
    height = browser.value("document.documentElement.scrollHeight")
    wrong = []
    if browser.value("document.documentElement.scrollWidth") > width:
        wrong.append(f"wider than its {width} pixels")
    for event in browser.events:
        params = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent" and params["request"]["url"] != page.as_uri():
            wrong.append(f"loads {params['request']['url']}")
        if event["method"] == "Log.entryAdded":
            wrong.append(params["entry"]["text"])
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    return base64.b64decode(shot["data"]), [f"{name}: {what}" for what in wrong]


def main():
    arguments = [word for word in sys.argv[1:] if word != "--write"]
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        print("the report was not looked at: there is no Chromium here")
        return
    page, wrong = HERE / "report.html", []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(arguments[0] if arguments else scratch)
        folder.mkdir(parents=True, exist_ok=True)
        browser = Browser(program, pathlib.Path(scratch) / "profile")
        for domain in ("Page", "Network", "Log"):
            browser.ask(f"{domain}.enable")
        for name, *how in LOOKS:
            picture, found = look(browser, page, name, *how)
            (folder / f"{name}.png").write_bytes(picture)
            wrong += found
            if name == "wide-light" and "--write" in sys.argv:
                if len(picture) > MOST:
                    wrong.append(f"the picture has {len(picture)} bytes; the docs have room for {MOST}")
                (HERE / "report.png").write_bytes(picture)
        browser.session = None
        browser.child.terminate()
        browser.child.wait()
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"the report was looked at in {len(LOOKS)} ways" + (f"; pictures are in {folder}" if arguments else ""))


if __name__ == "__main__":
    main()
