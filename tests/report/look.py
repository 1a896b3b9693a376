#!/usr/bin/env python3
"""Opens report.html, the page that the tests of the room `report` hold against its story, in a headless Chromium, wide
and narrow, light and dark and on paper. Fails when it is wider than its window, when anything is loaded, or when the
browser complains. Writes a picture of each look into a folder; with --write the page's upper part becomes report.png.

    python3 tests/report/look.py [--write] [FOLDER]

Without a browser it says so and ends well. Nothing is installed and no network is used.
"""

import base64
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

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
# The picture of the docs ends below the first curves; bytes that it may have.
UPPER = ("upper", 900, "light", "screen")
END = "document.querySelectorAll('figure')[1].getBoundingClientRect().bottom + scrollY + 40"
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


def look(browser, page, name, width, colours, medium, end="document.documentElement.scrollHeight"):
    """The picture of one look down to `end`, and what is wrong with it."""
    browser.events.clear()
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    features = [{"name": "prefers-color-scheme", "value": colours}]
    browser.ask("Emulation.setEmulatedMedia", media=medium, features=features)
    browser.ask("Page.navigate", url=page.as_uri())
    browser.wait("Page.loadEventFired")
    height = browser.value(end)
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


def pixels(png):
    """Width, height and the bytes of each row of a picture of 8 bits in red, green and blue, as Chromium makes it."""
    at, packed, width, height, deep = 8, b"", 0, 0, 3
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, deep = *struct.unpack(">II", body[:8]), {2: 3, 6: 4}[body[9]]
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    plain, rows, above = zlib.decompress(packed), [], bytes(width * deep)
    for start in range(0, len(plain), width * deep + 1):
        how, row = plain[start], bytearray(plain[start + 1 : start + 1 + width * deep])
        for x in range(len(row)) if how else ():
            left, up, corner = (row[x - deep], above[x], above[x - deep]) if x >= deep else (0, above[x], 0)
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda near: abs(guess - near))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, paeth)[how]) & 255
        rows.append(row if deep == 3 else bytearray(b for n, b in enumerate(row) if n % 4 != 3))
        above = row
    return width, height, rows


def small(png):
    """The same picture with 256 colours at most, which takes a third of the bytes."""
    width, height, rows = pixels(png)
    plain = b"".join(rows)
    for mask in (0xFF, 0xFE, 0xFC, 0xF8, 0xF0):
        keys = [(r & mask, g & mask, b & mask) for r, g, b in zip(plain[::3], plain[1::3], plain[2::3])]
        colours = {}
        for at, key in enumerate(keys):
            colours.setdefault(key, (len(colours), plain[3 * at : 3 * at + 3]))
        if len(colours) <= 256:
            break
    numbers = bytes(colours[key][0] for key in keys)
    lines = b"".join(b"\0" + numbers[y * width : (y + 1) * width] for y in range(height))
    palette = b"".join(colour for _, colour in colours.values())
    chunks = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)), (b"PLTE", palette), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")
    made = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


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
        if "--write" in sys.argv:
            picture, found = look(browser, page, *UPPER, END)
            picture = small(picture)
            (HERE / "report.png").write_bytes(picture)
            wrong += found
            if len(picture) > MOST:
                wrong.append(f"report.png has {len(picture)} bytes; the docs have room for {MOST}")
        browser.child.terminate()
        browser.child.wait()
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"the report was looked at in {len(LOOKS)} ways" + (f"; pictures are in {folder}" if arguments else ""))


if __name__ == "__main__":
    main()
