from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.callbacks import CallbackPolicy, CallbackRefused, check_callback_url
from common.callbacks.addresses import Standing, standing_of

STRICT = CallbackPolicy()

HOSTILE = {
    "plain http": "http://example.com/",
    "another scheme": "ftp://example.com/",
    "a file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "no scheme": "//example.com/",
    "no host": "https:///path",
    "nothing": "",
    "loopback": "https://127.0.0.1/",
    "loopback elsewhere": "https://127.8.9.10/",
    "decimal": "https://2130706433/",
    "octal": "https://0177.0.0.1/",
    "hexadecimal": "https://0x7f000001/",
    "hexadecimal parts": "https://0x7f.0x0.0x0.0x1/",
    "short form": "https://127.1/",
    "zero": "https://0/",
    "unspecified": "https://0.0.0.0/",
    "trailing dot": "https://127.0.0.1./",
    "name with a trailing dot": "https://localhost./",
    "full-width digits": "https://１２７.０.０.１/",  # noqa: RUF001
    "circled digits": "https://①②⑦.0.0.1/",
    "ideographic dots": "https://127。0。0。1/",
    "escaped digits": "https://%31%32%37.0.0.1/",
    "v6 loopback": "https://[::1]/",
    "v6 unspecified": "https://[::]/",
    "v4-mapped metadata": "https://[::ffff:169.254.169.254]/",
    "v4-mapped in hexadecimal": "https://[::ffff:a9fe:a9fe]/",
    "v4-mapped loopback": "https://[::ffff:127.0.0.1]/",
    "v4-compatible": "https://[::127.0.0.1]/",
    "NAT64": "https://[64:ff9b::7f00:1]/",
    "local NAT64": "https://[64:ff9b:1::7f00:1]/",
    "6to4": "https://[2002:7f00:1::]/",
    "Teredo": "https://[2001:0:7f00:1::]/",
    "ISATAP": "https://[2606:4700::5efe:7f00:1]/",
    "zone id": "https://[fe80::1%25eth0]/",
    "v6 link-local": "https://[fe80::1]/",
    "v6 site-local": "https://[fec0::1]/",
    "v6 multicast": "https://[ff02::1]/",
    "v6 documentation": "https://[2001:db8::1]/",
    "metadata": "https://169.254.169.254/latest/meta-data/",
    "ECS metadata": "https://169.254.170.2/",
    "metadata over v6": "https://[fd00:ec2::254]/",
    "Azure's channel": "https://168.63.129.16/",
    "Alibaba's metadata": "https://100.100.100.200/",
    "metadata by name": "https://metadata.google.internal/",
    "private A": "https://10.1.2.3/",
    "private B": "https://172.31.255.255/",
    "private C": "https://192.168.0.1/",
    "carrier-grade NAT": "https://100.64.0.1/",
    "unique local": "https://[fc00::1]/",
    "multicast": "https://224.0.0.1/",
    "broadcast": "https://255.255.255.255/",
    "reserved": "https://240.0.0.1/",
    "benchmarking": "https://198.18.0.1/",
    "documentation": "https://192.0.2.1/",
    "localhost": "https://localhost/",
    "below localhost": "https://a.localhost/",
    "a single label": "https://intranet/",
    "mDNS": "https://printer.local/",
    "a user": "https://user@example.com/",
    "a password": "https://user:password@example.com/",
    "a user that looks like a host": "https://example.com@127.0.0.1/",
    "an escaped slash in the user": "https://example.com%2f@127.0.0.1/",
    "a backslash": "https://example.com\\@127.0.0.1/",
    "a fragment before an @": "https://example.com#@127.0.0.1/",
    "a fragment": "https://example.com/#top",
    "a line break": "https://example.com/\r\nHost: localhost",
    "a NUL": "https://example.com\x00.internal/",
    "a tab in the scheme": "ht\ttps://example.com/",
    "a space": "https://example.com /",
    "another service's port": "https://example.com:6379/",
    "mail": "https://example.com:25/",
    "port zero": "https://example.com:0/",
    "no such port": "https://example.com:99999/",
    "two ports": "https://example.com:443:80/",
    "an open bracket": "https://[::1/",
    "too long": "https://example.com/" + "a" * 2048,
}


@pytest.mark.parametrize("url", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_url_is_refused(url: str) -> None:
    with pytest.raises(CallbackRefused) as refusal:
        check_callback_url(url, STRICT)

    assert refusal.value.code == "callback-refused"
    assert "password" not in refusal.value.message.replace("a user or a password", "")


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://example.com/hook?token=1", "https://example.com/hook?token=1"),
        ("HTTPS://Example.COM:443/hook", "https://example.com/hook"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2001:4860:4860::8888]/", "https://[2001:4860:4860::8888]/"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("https://hooks_1.example.com/", "https://hooks_1.example.com/"),
        ("https://3com.example/", "https://3com.example/"),
    ],
)
def test_a_public_receiver_is_taken(url: str, called: str) -> None:
    assert str(check_callback_url(url, STRICT)) == called


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001/"),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]:8001/"),
        ("10.0.0.0/8", "http://10.1.2.3:9000/"),
        ("fd12::/16", "http://[fd12::1]:9000/"),
        ("localhost", "http://localhost:8001/"),
        ("Hooks.Internal", "http://hooks.internal:8001/"),
        ("intranet", "https://intranet/"),
    ],
)
def test_a_private_receiver_is_taken_when_the_operator_names_it(entry: str, url: str) -> None:
    with pytest.raises(CallbackRefused):
        check_callback_url(url, STRICT)

    check_callback_url(url, CallbackPolicy.parse([entry]))


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("10.0.0.0/8", "https://11.0.0.1:22/"),
        ("10.0.0.0/8", "https://192.168.0.1/"),
        ("169.254.0.0/16", "http://169.254.169.254/"),
        ("0.0.0.0/0", "http://169.254.169.254/"),
        ("::/0", "http://[fd00:ec2::254]/"),
        ("example.com", "http://sub.example.com/"),
        ("example.com", "http://example.com:0/"),
        ("10.0.0.0/8", "http://name.example/"),
    ],
)
def test_what_the_operator_did_not_name_or_must_never_be_called_stays_refused(
    entry: str, url: str
) -> None:
    with pytest.raises(CallbackRefused):
        check_callback_url(url, CallbackPolicy.parse([entry]))


@pytest.mark.parametrize("entry", ["", "http://a", "a b", "10.0.0.1/8", "127.1", "*", "a:1"])
def test_an_entry_that_is_no_host_nor_network_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        CallbackPolicy.parse([entry])


@pytest.mark.parametrize(
    ("address", "standing"),
    [
        ("1.1.1.1", Standing.PUBLIC),
        ("::ffff:1.1.1.1", Standing.PUBLIC),
        ("64:ff9b::101:101", Standing.PUBLIC),
        ("2606:4700::1111", Standing.PUBLIC),
        ("10.0.0.1", Standing.PRIVATE),
        ("::ffff:10.0.0.1", Standing.PRIVATE),
        ("100.127.255.255", Standing.PRIVATE),
        ("fd00::1", Standing.PRIVATE),
        ("::1", Standing.PRIVATE),
        ("169.254.169.254", Standing.FORBIDDEN),
        ("::ffff:169.254.169.254", Standing.FORBIDDEN),
        ("64:ff9b::a9fe:a9fe", Standing.FORBIDDEN),
        ("fe80::1%eth0", Standing.FORBIDDEN),
        ("::", Standing.FORBIDDEN),
        ("4000::1", Standing.FORBIDDEN),
    ],
)
def test_every_address_has_a_standing(address: str, standing: Standing) -> None:
    assert standing_of(ip_address(address)) is standing


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fe80::1"])
def test_a_public_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(CallbackRefused):
        STRICT.check_address(ip_address(address), "example.com")


def test_a_name_that_the_operator_allowed_may_lead_to_a_private_address_but_not_to_metadata() -> (
    None
):
    policy = CallbackPolicy.parse(["hooks.internal"])

    policy.check_address(ip_address("10.0.0.1"), "hooks.internal")
    with pytest.raises(CallbackRefused):
        policy.check_address(ip_address("169.254.169.254"), "hooks.internal")
    with pytest.raises(CallbackRefused):
        policy.check_address(ip_address("10.0.0.1"), "other.internal")


@given(st.text(max_size=40))
def test_any_host_is_either_refused_or_one_that_no_resolver_takes_for_a_number(host: str) -> None:
    try:
        url = check_callback_url(f"https://{host}/", STRICT)
    except CallbackRefused:
        return
    name = url.raw_host or ""
    try:
        read_by_the_c_library = socket.inet_aton(name)
    except OSError:
        return
    assert standing_of(ip_address(read_by_the_c_library)) is Standing.PUBLIC
    assert str(ip_address(read_by_the_c_library)) == name


@given(
    st.lists(
        st.sampled_from(
            [*"https:/@#?%.[]0127xAa\\", "localhost", "example.com", "::1", "127.0.0.1"]
        ),
        max_size=24,
    ).map("".join)
)
def test_whatever_is_given_is_judged_and_nothing_else_is_raised(url: str) -> None:
    try:
        checked = check_callback_url(url, STRICT)
    except CallbackRefused:
        return
    assert checked.scheme == "https"
    assert checked.raw_host not in {"localhost", "::1", "127.0.0.1"}
    assert checked.user is None
