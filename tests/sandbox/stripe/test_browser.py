"""A person's way through checkout and portal, in a real browser without a window."""

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

from tests.infra_local.stripe.servers import Running
from tests.infra_local.stripe.shop import DAY_S, Shop, shop

_PATIENCE_S = 20
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class _Home(BaseHTTPRequestHandler):
    """The application that the pages lead back to."""

    def do_GET(self) -> None:
        body = f"<title>ainexus</title><h1>Back at {self.path}</h1>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — http.server's own signature
        """Say nothing."""


@pytest.fixture(scope="module")
def application() -> Iterator[str]:
    """Where the application is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Home) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Debian's chromium, without a window."""
    program = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        said = "there is no chromium with chromedriver: apt-get install chromium chromium-driver"
        pytest.skip(said)
    made = Chrome(_options(program, tmp_path_factory.mktemp("browser")), ChromeService(driver))
    made.implicitly_wait(_PATIENCE_S)
    yield made
    made.quit()


def _options(program: str, profile: Path) -> ChromeOptions:
    options = ChromeOptions()
    options.binary_location = program
    # Containers have neither a sandbox for it nor a large /dev/shm; it sees no page but our own.
    flags = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server")
    for flag in (*flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return options


@pytest.fixture
def store(stripe_: Running) -> Shop:
    return shop(stripe_)


def checkout_page(store: Shop, customer: str, application: str) -> str:
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


def portal_page(store: Shop, customer: str, application: str) -> str:
    given: Any = {"customer": customer, "return_url": f"{application}/settings"}
    return store.client.v1.billing_portal.sessions.create(given).url


def press(browser: Chrome, label: str) -> None:
    """Press a button, and wait until another page is there."""
    before = browser.find_element(By.TAG_NAME, "html")
    browser.find_element(By.XPATH, f"//button[normalize-space()='{label}']").click()
    WebDriverWait(browser, _PATIENCE_S).until(lambda _: _is_gone(before))


def _is_gone(element: WebElement) -> bool:
    """Whether its page was left; in the very moment of that the browser has other words for it."""
    try:
        element.is_enabled()
    except StaleElementReferenceException:
        return True
    except WebDriverException as error:
        if "does not belong to the document" in str(error.msg):
            return True
        raise
    return False


def labelled(browser: Chrome, words: str) -> WebElement:
    """What a label belongs to, found as a person or a screen reader does."""
    label = browser.find_element(By.XPATH, f"//label[contains(normalize-space(), '{words}')]")
    name = label.get_attribute("for")
    assert name
    return browser.find_element(By.ID, name)


def heading(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def said(browser: Chrome, role: str) -> str:
    """What the page says in a role: `alert` or `status`."""
    return browser.find_element(By.CSS_SELECTOR, f"[role={role}]").text


def type_card(browser: Chrome, number: str) -> None:
    field = labelled(browser, "Card number")
    field.clear()
    field.send_keys(number)  # pyright: ignore[reportUnknownMemberType] — selenium leaves it open


def prices_of(store: Shop, customer: str) -> set[str]:
    [subscription] = store.client.v1.subscriptions.list({"customer": customer}).data
    return {item.price.id for item in subscription["items"].data}


class TestCheckout:
    def test_a_declined_card_is_said_and_another_one_pays(self, store: Shop, browser: Chrome, application: str) -> None:
        customer = store.customer(card=None)
        browser.get(checkout_page(store, customer, application))
        assert "Due today: $29.00" in browser.page_source
        type_card(browser, "4000 0000 0000 0002")
        press(browser, "Subscribe")
        assert said(browser, "alert") == "Your card was declined."
        type_card(browser, "4242 4242 4242 4242")
        press(browser, "Subscribe")
        assert heading(browser) == "Back at /paid"
        assert prices_of(store, customer) == {store.pro.base, store.pro.tokens}

    def test_cancelling_leads_back(self, store: Shop, browser: Chrome, application: str) -> None:
        customer = store.customer(card=None)
        browser.get(checkout_page(store, customer, application))
        press(browser, "Cancel")
        assert heading(browser) == "Back at /plans"
        assert not store.client.v1.subscriptions.list({"customer": customer}).data


class TestPortal:
    def test_an_upgrade_holds_at_once(self, store: Shop, browser: Chrome, application: str) -> None:
        customer = store.customer()
        store.subscribe(customer)
        browser.get(portal_page(store, customer, application))
        labelled(browser, "ainexus enterprise").click()
        press(browser, "Change plan")
        assert said(browser, "status") == "Your plan is changed."
        assert prices_of(store, customer) == {store.enterprise.base, store.enterprise.tokens}

    def test_a_downgrade_waits_for_the_periods_end(self, store: Shop, browser: Chrome, application: str) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer, store.enterprise)
        browser.get(portal_page(store, customer, application))
        labelled(browser, "ainexus pro").click()
        press(browser, "Change plan")
        assert said(browser, "status") == "Your plan changes at the end of the period."
        assert prices_of(store, customer) == {store.enterprise.base, store.enterprise.tokens}
        store.pass_period(subscription.id, plus_s=DAY_S)
        assert prices_of(store, customer) == {store.pro.base, store.pro.tokens}

    def test_cancelling_can_be_taken_back(self, store: Shop, browser: Chrome, application: str) -> None:
        customer = store.customer()
        subscription = store.subscribe(customer)
        browser.get(portal_page(store, customer, application))
        press(browser, "Cancel with the period")
        assert said(browser, "status") == "Your subscription ends with the period."
        assert store.reload(subscription.id).cancel_at_period_end
        press(browser, "Keep the subscription")
        assert said(browser, "status") == "Your subscription goes on."
        assert not store.reload(subscription.id).cancel_at_period_end

    def test_another_card_pays_what_is_open(self, store: Shop, browser: Chrome, application: str) -> None:
        customer = store.customer(card="pm_card_chargeCustomerFail")
        subscription = store.subscribe(customer)
        assert subscription.status == "incomplete"
        browser.get(portal_page(store, customer, application))
        type_card(browser, "4242 4242 4242 4242")
        press(browser, "Change card")
        assert said(browser, "status") == "Your card is changed."
        browser.find_element(By.PARTIAL_LINK_TEXT, "Pay invoice").click()
        press(browser, "Pay $29.00")
        assert said(browser, "status") == "Paid."
        assert store.reload(subscription.id).status == "active"

    def test_leads_back(self, store: Shop, browser: Chrome, application: str) -> None:
        browser.get(portal_page(store, store.customer(), application))
        browser.find_element(By.LINK_TEXT, "Return to ainexus").click()
        assert heading(browser) == "Back at /settings"
