"""Goes through the status page with Debian's chromium, as somebody with a mouse, a keyboard, or a phone does.

status_page.py URL [SCREENSHOT]; with axe-core's wheel from PyPI in AXE_CORE_WHEEL, its rules are tried, too.
Prints what it has done, a line each, and ends with 1 at the first thing that is wrong.
"""

import json
import os
import sys
import time
import zipfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PATIENCE = 30
VIEWS = ["overview", "routes", "services", "certificates", "problems"]


def start():
    options = webdriver.ChromeOptions()
    for argument in [
        "--headless=new",
        # Root has no sandbox, and namespaces of tests have no D-Bus and no outside.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--force-prefers-reduced-motion",
        "--lang=en",
        "--window-size=1280,960",
    ]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


class Page:
    def __init__(self, driver, url):
        self.driver = driver
        self.url = url

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, what, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"{what}: not within {PATIENCE} s; the page says:\n{self.text()}")
            time.sleep(0.02)

    def text(self):
        return self.script("return document.body.innerText")

    def rows(self):
        return self.script("return [...document.querySelectorAll('#rows > .row')].map(row => row.innerText)")

    def shown(self):
        """The view that was drawn last, and how often anything was drawn."""
        view, _, count = (self.script("return document.documentElement.dataset.shown") or " 0").partition(" ")
        return view, int(count)

    def wait_for(self, view):
        self.until(f"the view {view}", lambda: self.shown()[0] == view)

    def wait_for_more(self):
        """Something was asked for after this call, and drawn."""
        _, count = self.shown()
        self.until("the next answer", lambda: self.shown()[1] >= count + 2)

    def go(self, view):
        self.driver.find_element(By.CSS_SELECTOR, f'nav a[href="#{view}"]').click()
        self.wait_for(view)
        current = self.driver.find_element(By.CSS_SELECTOR, "nav a[aria-current]")
        assert current.get_attribute("hash") == f"#{view}", current.get_attribute("hash")

    def focused(self):
        return self.script(
            "const it = document.activeElement;"
            "return it.id || it.getAttribute('href') || it.tagName.toLowerCase();"
        )

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def press_back(self):
        actions = ActionChains(self.driver)
        actions.key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()

    def find(self, text):
        field = self.driver.find_element(By.ID, "filter")
        field.clear()
        field.send_keys(text)


def clicks_through(page):
    for view in VIEWS[1:] + VIEWS[:1]:
        page.go(view)
    page.go("routes")
    page.until("three routes", lambda: len(page.rows()) == 3)
    assert any("http://web.example/" in row and "default/web:80" in row for row in page.rows()), page.rows()
    # The path of an Ingress is text, whatever it looks like.
    hostile = [row for row in page.rows() if "<img src=x onerror=alert(1)>" in row]
    assert len(hostile) == 1, page.rows()
    assert page.script("return document.images.length") == 0
    page.until("a live rate", lambda: any("/s, half in" in row for row in page.rows()))
    assert page.driver.find_elements(By.CSS_SELECTOR, "#rows svg[role=img][aria-label]")

    page.go("services")
    page.until("all Services", lambda: len(page.rows()) == 3)
    page.find("WEB")
    page.until("what is searched for", lambda: len(page.rows()) == 1)
    assert "default/web" in page.rows()[0]
    assert page.driver.find_element(By.ID, "found").text == "1 to 1 of 1"
    # What is open stays open while the page follows the cluster.
    page.driver.find_element(By.CSS_SELECTOR, "#rows summary").click()
    page.wait_for_more()
    assert "4 of 4 ready" in page.rows()[0] and "this node" in page.rows()[0], page.rows()
    page.find("api")
    page.until("what is searched for", lambda: ["default/api" in row for row in page.rows()] == [True])
    page.driver.find_element(By.CSS_SELECTOR, "#rows summary").click()
    told = page.script("return [...document.querySelectorAll('#rows li')].map(item => item.innerText)")
    reasons = [
        "draining this node\nout: terminates; it is used only while none is ready",
        "ready this node",
        "not ready this node\nout: not ready: look at the pod's readiness probe",
    ]
    assert len(told) == len(reasons) and all(text.endswith(reason) for text, reason in zip(told, reasons)), told
    page.find("nothing-is-called-so")
    page.until("nothing", lambda: page.driver.find_element(By.ID, "found").text == "none")

    page.go("certificates")
    page.until("a certificate", lambda: len(page.rows()) == 1)
    assert "shop.example" in page.rows()[0] and "days left" in page.rows()[0], page.rows()
    page.go("problems")
    page.until("problems", lambda: any("BackendNotFound" in row for row in page.rows()))
    assert any("PathConflict" in row for row in page.rows()), page.rows()

    page.go("overview")
    assert page.driver.find_element(By.ID, "health").text == "healthy"
    page.until("requests", lambda: float(page.driver.find_element(By.ID, "rate").text) > 0)
    pause = page.driver.find_element(By.ID, "pause")
    pause.click()
    assert pause.get_attribute("aria-pressed") == "true"
    pause.click()
    page.wait_for_more()
    print("clicked through")


def by_keyboard(page):
    page.driver.get(page.url)
    page.wait_for("overview")
    order = []
    for _ in range(len(VIEWS) + 2):
        page.press(Keys.TAB)
        order.append(page.focused())
        outline = page.script("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"nobody sees that {order[-1]} has the focus"
    expected = ["#content", "pause"] + [f"#{view}" for view in VIEWS]
    assert order == expected, order
    page.press(Keys.ENTER)
    page.wait_for("problems")
    page.press_back()
    page.press_back()
    page.press(Keys.ENTER)
    page.wait_for("services")
    field = page.driver.find_element(By.ID, "filter")
    for _ in range(10):
        page.press(Keys.TAB)
        if page.focused() == "filter":
            break
    assert page.driver.switch_to.active_element == field
    page.press("web")
    page.until("what is searched for", lambda: len(page.rows()) == 1)
    page.press(Keys.TAB)
    assert page.focused() == "summary", page.focused()
    page.press(Keys.ENTER)
    page.wait_for_more()
    assert page.focused() == "summary", "the focus stays while the page follows the cluster"
    assert page.script("return document.activeElement.parentNode.open")
    print("used by keyboard")


def on_a_phone(page):
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    for view in VIEWS:
        page.go(view)
        wide = page.script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{view} is {wide} pixels too wide for a phone"
        small = page.script(
            "return [...document.querySelectorAll('button, nav a, input, summary')]"
            ".filter(it => it.offsetParent && it.getBoundingClientRect().height < 24).length"
        )
        assert small == 0, f"{view} has {small} targets too small for a finger"
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    print("read on a phone")


def rules_of_axe(page, wheel):
    with zipfile.ZipFile(wheel) as archive:
        source = archive.read("axe_core_python/axe.min.js").decode()
    passed = 0
    for scheme in ["light", "dark"]:
        page.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        for view in VIEWS:
            page.go(view)
            page.script(source)
            found = page.driver.execute_async_script(
                "const done = arguments[arguments.length - 1];"
                "axe.run().then(done, error => done({violations: [String(error)], passes: []}));"
            )
            assert not found["violations"], f"{view}, {scheme}: {json.dumps(found['violations'], indent=1)}"
            passed += len(found["passes"])
    print(f"axe-core: {passed} rules passed, none broken")


def is_quiet(page):
    """No error on the console, and no request that leaves the agent."""
    errors = [entry for entry in page.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not errors, errors
    requests = 0
    for entry in page.driver.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent":
            target = event["params"]["request"]["url"]
            origin = page.url.rsplit("/", 1)[0]
            assert target.startswith(origin + "/status") or target.startswith("data:"), target
            requests += 1
    assert requests > 10, requests
    print("no console error, no outside request")


def main():
    driver = start()
    try:
        page = Page(driver, sys.argv[1])
        driver.get(page.url)
        page.wait_for("overview")
        clicks_through(page)
        by_keyboard(page)
        on_a_phone(page)
        is_quiet(page)
        if os.environ.get("AXE_CORE_WHEEL"):
            rules_of_axe(page, os.environ["AXE_CORE_WHEEL"])
        if len(sys.argv) > 2:
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
            driver.set_window_size(1100, 790)
            page.go("routes")
            page.until("a live rate", lambda: any("/s, half in" in row for row in page.rows()))
            page.go("overview")
            time.sleep(30)
            driver.save_screenshot(sys.argv[2])
    finally:
        driver.quit()


main()
