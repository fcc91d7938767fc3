"""Origins are compared by what they mean, not by how they are written."""

from __future__ import annotations

import pytest

from app.frame.inbound.origins import here, is_neighbour, is_own

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://shop.example", "shop.example", True),
        ("https://shop.example", "shop.example:443", True),
        ("https://shop.example:443", "shop.example", True),
        ("http://shop.example", "shop.example:80", True),
        ("HTTPS://Shop.Example", "shop.example", True),
        ("https://shop.example.", "shop.example", True),
        ("https://shop.example", "inside:8000", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://shop.example", "shop.example:443", False),
        ("https://shop.example:8443", "shop.example", False),
        ("https://shop.example.evil.example", "shop.example", False),
        ("https://shop.example@evil.example", "shop.example", False),
        ("https://evil.example", "shop.example", False),
        ("https://shop.example:x", "shop.example", False),
        ("https://[", "[", False),
        ("null", "null", False),
        ("", "", False),
        ("file://", "shop.example", False),
    ],
)
def test_a_form_is_ours_when_it_was_sent_from_where_it_goes(
    origin: str, host: str, own: bool
) -> None:
    assert is_own(origin, host=host, public_url=SHOP) is own


@pytest.mark.parametrize(
    ("host", "public", "used"),
    [
        ("localhost:8000", "http://127.0.0.1:8000", "http://localhost:8000"),
        ("LocalHost:8000", "http://127.0.0.1:8000/", "http://localhost:8000"),
        ("[::1]:8000", "http://localhost:8000", "http://[::1]:8000"),
        ("192.168.1.20:8000", "http://127.0.0.1:8000", "http://192.168.1.20:8000"),
        ("localhost:8001", "http://127.0.0.1:8000", "http://localhost:8001"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000", "http://0.0.0.0:8000"),
        ("shop.local:8000", "http://127.0.0.1:8000", "http://shop.local:8000"),
        ("myhost:8000", "http://127.0.0.1:8000", "http://myhost:8000"),
        ("vitrine.localhost:8000", "http://0.0.0.0:8000", "http://vitrine.localhost:8000"),
        ("100.64.0.1:8000", "http://127.0.0.1:8000", "http://100.64.0.1:8000"),
        ("169.254.7.7:8000", "http://127.0.0.1:8000", "http://169.254.7.7:8000"),
        ("[fe80::1]:8000", "http://[::]:8000", "http://[fe80::1]:8000"),
        ("evil.example:8000", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost", "https://shop.example", "https://shop.example"),
        ("evil.example", "https://shop.example", "https://shop.example"),
        ("127.0.0.1:8000@evil.example", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost:8000/..", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_a_payment_leads_back_to_where_the_browser_keeps_its_cookies(
    host: str, public: str, used: str
) -> None:
    assert here(host, public_url=public) == used


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("http://localhost:8000/se/en/purchases/hld_1/order?back=1", True),
        ("http://10.1.2.3:8000/", True),
        ("https://localhost:8000/", False),
        ("http://localhost:9000/", True),
        ("http://shop.internal/", True),
        ("http://0.0.0.0:8000/", True),
        ("http://[::ffff:192.168.1.20]:8000/", True),
        ("http://[::ffff:93.184.216.34]:8000/", False),
        ("http://[2002:5db8:d822::1]:8000/", False),
        ("http://[2606:4700::1111]:8000/", False),
        ("http://1572395042:8000/", False),
        ("http://0x5db8d822:8000/", False),
        ("http://evil%2eexample:8000/", False),
        ("http://evil\u3002example:8000/", False),
        ("http://evil.local.example:8000/", False),
        ("http://local:8000@evil.example/", False),
        ("http://224.0.0.1:8000/", False),
        ("http://localhost.evil.example:8000/", False),
        ("http://localhost:8000@evil.example/", False),
        ("http://93.184.216.34:8000/", False),
        ("/se/en", False),
    ],
)
def test_only_names_of_this_machine_and_its_network_are_neighbours(url: str, ours: bool) -> None:
    assert is_neighbour(url, public_url="http://127.0.0.1:8000") is ours
    assert not is_neighbour(url, public_url="https://shop.example")
