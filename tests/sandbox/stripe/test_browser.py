"""Checkout and portal in a real headless browser."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.sandbox.stripe.servers import Running
from tests.sandbox.stripe.shop import DAY_S, PlanCatalog, shop

_TIMEOUT_S = 20
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class _Home(BaseHTTPRequestHandler):
    """The application that the pages return to."""

    def do_GET(self) -> None:
        body = f"<title>ainexus</title><h1>Back at {self.path}</h1>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — http.server's own signature
        """Log nothing."""


@pytest.fixture(scope="module")
def application() -> Iterator[str]:
    """Return the application's address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Home) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Start Debian's chromium without a window."""
    program = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        reason = "there is no chromium with chromedriver: apt-get install chromium chromium-driver"
        pytest.skip(reason)
    chrome = Chrome(_options(program, tmp_path_factory.mktemp("browser")), ChromeService(driver))
    chrome.implicitly_wait(_TIMEOUT_S)
    yield chrome
    chrome.quit()


def _options(program: str, profile: Path) -> ChromeOptions:
    options = ChromeOptions()
    options.binary_location = program
    # Containers have neither a sandbox for it nor a large /dev/shm; it sees no page but our own.
    flags = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server")
    for flag in (*flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return options


@pytest.fixture
def store(stripe_: Running) -> PlanCatalog:
    return shop(stripe_)


def checkout_page(store: PlanCatalog, customer: str, application: str) -> str:
    items: Any = [{"price": store.pro.base, "quantity": 1}, {"price": store.pro.tokens}]
    session = store.client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": items,
            "success_url": f"{application}/paid",
            "cancel_url": f"{application}/plans",
        }
    )
    assert session.url
    return session.url


def portal_page(store: PlanCatalog, customer: str, application: str) -> str:
    arguments: Any = {"customer": customer, "return_url": f"{application}/settings"}
    return store.client.v1.billing_portal.sessions.create(arguments).url


def press(browser: Chrome, label: str) -> None:
    """Press a button and wait for the next page."""
    before = browser.find_element(By.TAG_NAME, "html")
    browser.find_element(By.XPATH, f"//button[normalize-space()='{label}']").click()
    WebDriverWait(browser, _TIMEOUT_S).until(lambda _: _is_gone(before))


def _is_gone(element: WebElement) -> bool:
    """Return whether its page was left. During the change, the browser raises different errors."""
    try:
        element.is_enabled()
    except StaleElementReferenceException:
        return True
    except WebDriverException as error:
        if "does not belong to the document" in str(error.msg):
            return True
        raise
    return False


def labeled(browser: Chrome, words: str) -> WebElement:
    """Return the element of a label, found as a person or a screen reader finds it."""
    label = browser.find_element(By.XPATH, f"//label[contains(normalize-space(), '{words}')]")
    name = label.get_attribute("for")
    assert name
    return browser.find_element(By.ID, name)


def heading(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def message_of(browser: Chrome, role: str) -> str:
    """Return the page's text in a role: `alert` or `status`."""
    return browser.find_element(By.CSS_SELECTOR, f"[role={role}]").text


def type_card(browser: Chrome, number: str) -> None:
    field = labeled(browser, "Card number")
    field.clear()
    field.send_keys(number)  # pyright: ignore[reportUnknownMemberType] — selenium leaves it open


def prices_of(store: PlanCatalog, customer: str) -> set[str]:
    [subscription] = store.client.v1.subscriptions.list({"customer": customer}).data
    return {item.price.id for item in subscription["items"].data}


class TestCheckout:
    def test_shows_a_decline_and_accepts_another_card(
        self, store: PlanCatalog, browser: Chrome, application: str
    ) -> None:
        customer = store.customer(card=None)
        browser.get(checkout_page(store, customer, application))
        assert "Due today: $29.00" in browser.page_source
        type_card(browser, "4000 0000 0000 0002")
        press(browser, "Subscribe")
        assert message_of(browser, "alert") == "Your card was declined."
        type_card(browser, "4242 4242 4242 4242")
        press(browser, "Subscribe")
        assert heading(browser) == "Back at /paid"
        assert prices_of(store, customer) == {store.pro.base, store.pro.tokens}

    def test_canceling_returns_to_the_application(self, store: PlanCatalog, browser: Chrome, application: str) -> None:
        customer = store.customer(card=None)
        browser.get(checkout_page(store, customer, application))
        press(browser, "Cancel")
        assert heading(browser) == "Back at /plans"
        assert not store.client.v1.subscriptions.list({"customer": customer}).data


class TestPortal:
    def test_an_upgrade_applies_immediately(self, store: PlanCatalog, browser: Chrome, application: str) -> None:
        customer = store.customer()
        store.subscribe(customer)
        browser.get(portal_page(store, customer, application))
        labeled(browser, "ainexus enterprise").click()
        press(browser, "Change plan")
        assert message_of(browser, "status") == "Your plan is changed."
        assert prices_of(store, customer) == {store.enterprise.base, store.enterprise.tokens}

    def test_a_downgrade_applies_at_the_end_of_the_period(
        self, store: PlanCatalog, browser: Chrome, application: str
    ) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer, store.enterprise)
        browser.get(portal_page(store, customer, application))
        labeled(browser, "ainexus pro").click()
        press(browser, "Change plan")
        assert message_of(browser, "status") == "Your plan changes at the end of the period."
        assert prices_of(store, customer) == {store.enterprise.base, store.enterprise.tokens}
        store.pass_period(subscription.id, plus_s=DAY_S)
        assert prices_of(store, customer) == {store.pro.base, store.pro.tokens}

    def test_a_cancellation_can_be_reverted(self, store: PlanCatalog, browser: Chrome, application: str) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        browser.get(portal_page(store, customer, application))
        press(browser, "Cancel with the period")
        assert message_of(browser, "status") == "Your subscription ends with the period."
        assert store.reload(subscription.id).cancel_at_period_end
        press(browser, "Keep the subscription")
        assert message_of(browser, "status") == "Your subscription goes on."
        assert not store.reload(subscription.id).cancel_at_period_end

    def test_another_card_pays_open_invoices(self, store: PlanCatalog, browser: Chrome, application: str) -> None:
        customer = store.customer(card="pm_card_chargeCustomerFail")
        subscription = store.subscribe(customer)
        assert subscription.status == "incomplete"
        browser.get(portal_page(store, customer, application))
        type_card(browser, "4242 4242 4242 4242")
        press(browser, "Change card")
        assert message_of(browser, "status") == "Your card is changed."
        browser.find_element(By.PARTIAL_LINK_TEXT, "Pay invoice").click()
        press(browser, "Pay $29.00")
        assert message_of(browser, "status") == "Paid."
        assert store.reload(subscription.id).status == "active"

    def test_returns_to_the_application(self, store: PlanCatalog, browser: Chrome, application: str) -> None:
        browser.get(portal_page(store, store.customer(), application))
        browser.find_element(By.LINK_TEXT, "Return to ainexus").click()
        assert heading(browser) == "Back at /settings"
