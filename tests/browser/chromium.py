"""A headless Chromium, driven over its own protocol through a pipe: no driver, no package, no port.

https://chromedevtools.github.io/devtools-protocol/ describes the methods; a message is JSON that ends with a zero byte.
"""

import base64
import collections
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60  # seconds for one answer


def find():
    """The program's path, or None. SEESAW_CHROMIUM names another one."""
    named = os.environ.get("SEESAW_CHROMIUM")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


class Gone(Exception):
    """The browser did not answer, or refused."""


class Browser:
    """One process with one page."""

    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory(prefix="seesaw-browser-", ignore_cleanup_errors=True)
        # The browser reads from descriptor 3 and writes to 4.
        to_read, self.to = os.pipe()
        self.answers, to_write = os.pipe()
        command = [program, "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
                   "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                   "--disable-sync", "--disable-extensions", "--force-color-profile=srgb",
                   f"--user-data-dir={self.folder.name}", "about:blank"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium's sandbox does not run for root.

        def connect():
            # Both ends out of the way first: one of them may lie on 3 or 4 itself.
            reader, writer = os.dup(to_read), os.dup(to_write)
            os.dup2(reader, 13)
            os.dup2(writer, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        self.process = subprocess.Popen(command, preexec_fn=connect, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.number = 0
        self.session = None
        self.events = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.send(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.answers)
        self.folder.cleanup()

    def receive(self, patience):
        """The next message, or None if there is none in time."""
        end = time.monotonic() + patience
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                return None
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise Gone("Chromium ended")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message

    def send(self, method, **parameters):
        """Calls a method and waits for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive(PATIENCE)
            if answer is None:
                raise Gone(f"no answer to {method} within {PATIENCE} s")
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Gone(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def listen(self, seconds):
        """Takes in events for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.receive(end - time.monotonic())

    def open(self, url):
        """Loads a page, to its end."""
        seen = len(self.events)
        self.send("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self.events[seen:]):
            if time.monotonic() > end:
                raise Gone(f"{url} did not load within {PATIENCE} s")
            self.receive(0.5)

    def run(self, script):
        """The value of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Gone(f"{script[:80]}…: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), " ": (32, " "), "Tab": (9, ""), "ArrowRight": (39, ""),
            "ArrowLeft": (37, ""), "ArrowDown": (40, ""), "ArrowUp": (38, ""), "+": (187, "+"), "0": (48, "0")}

    def key(self, key):
        """Presses a key."""
        code, text = self.KEYS[key]
        common = {"key": key, "windowsVirtualKeyCode": code, "code": "Space" if key == " " else key}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.send("Input.dispatchKeyEvent", **down, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def middle(self, selector):
        """The middle of an element, which is brought into view."""
        place = self.run(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            if (!element) return null;
            element.scrollIntoView({{ block: "center", inline: "center", behavior: "instant" }});
            const box = element.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2];
        }})()""")
        if place is None:
            raise Gone(f"there is no {selector}")
        return place

    def mouse(self, kind, at, **more):
        self.send("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **more)

    def click(self, selector):
        at = self.middle(selector)
        self.mouse("mouseMoved", at)
        self.mouse("mousePressed", at, button="left", clickCount=1)
        self.mouse("mouseReleased", at, button="left", clickCount=1)

    def size(self, width, height, mobile=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def media(self, scheme, medium=""):
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.send("Emulation.setEmulatedMedia", media=medium, features=features)

    def picture(self, path, whole=False):
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints(self):
        """What was said on the console as a warning or an error, and exceptions that nobody caught."""
        told = collections.OrderedDict()
        for event in self.events:
            given = event["params"]
            if event["method"] == "Runtime.consoleAPICalled" and given["type"] in ("warning", "error", "assert"):
                told[json.dumps([each.get("value", each.get("description")) for each in given["args"]])] = None
            elif event["method"] == "Runtime.exceptionThrown":
                told[given["exceptionDetails"].get("exception", {}).get("description", "exception")] = None
            elif event["method"] == "Log.entryAdded" and given["entry"]["level"] in ("warning", "error"):
                told[given["entry"]["text"]] = None
        return list(told)

    def requests(self):
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]
