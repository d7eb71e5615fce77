# SPDX-License-Identifier: MIT
"""Debian's Chromium without a window, and what somebody in front of it would
see."""

import json
import logging

from selenium import webdriver
from selenium.common.exceptions import (JavascriptException,
                                        StaleElementReferenceException)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.common.action_chains import ActionChains

from cast.waiting import wait_until

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
    "--no-proxy-server", "--hide-scrollbars",
    # Whatever a page reaches for outside is not found.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")

LAPTOP = (1200, 900)
PHONE = (360, 740)

# Selenium tells each of its steps.
logging.getLogger("selenium").setLevel(logging.WARNING)


class Browser:
    """One browser with one tab."""

    def __init__(self, downloads, size=LAPTOP, is_dark=False):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for option in OPTIONS:
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs",
                               {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(20)
        self.driver.set_script_timeout(20)
        self.command("Browser.setDownloadBehavior", behavior="allow",
                     downloadPath=str(downloads))
        self.resize(*size)
        self.command("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme",
             "value": "dark" if is_dark else "light"}])

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def resize(self, width, height):
        self.command("Emulation.setDeviceMetricsOverride", width=width,
                     height=height, deviceScaleFactor=1, mobile=False)

    def open(self, address):
        """A page of its own, also where only the fragment differs."""
        self.driver.get("about:blank")
        self.forget()
        self.driver.get(address)

    def close(self):
        self.driver.quit()

    # ---- what is seen ----

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector="body"):
        """What is shown of the first such element; "" where there is none."""
        shown = self.texts(selector)
        return shown[0] if shown else ""

    def texts(self, selector):
        """What is shown of each; a drawing has text too."""
        return self.run(
            "return Array.from(document.querySelectorAll(arguments[0]),"
            " (one) => one.getClientRects().length === 0 ? ''"
            " : one.innerText ?? one.textContent)", selector)

    def count(self, selector):
        return self.run(
            "return document.querySelectorAll(arguments[0]).length", selector)

    def wait_for(self, part, selector="body", **more):
        """Waits until the element shows this."""
        def look():
            return part in self.text(selector)

        try:
            wait_until(look, f"{selector} shows {part!r}", **more)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{self.text()}\n{self.console()}") from None

    # ---- what is done ----

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector):
        # It may be drawn anew in between.
        for attempt in range(3):
            try:
                self.find(selector).click()
                return
            except (StaleElementReferenceException, JavascriptException):
                if attempt == 2:
                    raise

    def type(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(text, Keys.ENTER)

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def choose(self, selector, value):
        self.run("const one = document.querySelector(arguments[0]);"
                 "one.value = arguments[1];"
                 "one.dispatchEvent(new Event('change', { bubbles: true }))",
                 selector, value)

    def screenshot(self, path):
        self.driver.save_screenshot(str(path))

    # ---- what happened ----

    def forget(self):
        self.driver.get_log("browser")
        self.driver.get_log("performance")

    def console(self):
        """What the browser complains of, policies that were broken too."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The URLs that were asked for since the page was opened."""
        events = [json.loads(entry["message"])["message"]
                  for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events
                if event["method"] == "Network.requestWillBeSent"]
