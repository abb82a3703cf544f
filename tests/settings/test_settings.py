"""What deployment.toml may say, and that every mistake in it is one SettingsError with file, key and remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verification.errors import SettingsError
from verification.settings.loading import Loaded, load

ROOT = Path(__file__).parents[2]
VARIABLES = {"GOOGLE_CLOUD_PROJECT": "a-project"}

# What no key of the file can be: an array of an array is neither text, number, duration, list of texts nor table.
WRONG = "[[[]]]"
ODD_VALUES = [
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1e400",
    "true",
    '""',
    '" "',
    '"\\u0000"',
    '"$"',
    '"$lower"',
    "[]",
    "{}",
    "[{}]",
]
ODD_VALUES += [
    WRONG,
    "9" * 4000,
    "9" * 5000,
    f'"{"9" * 400}d"',
    '"-1s"',
    '"101%"',
    "2026-12-24",
    "10:00:00",
    "07:00",
    "'''a\nb'''",
]
KEY_LINE = re.compile(r'^([a-z_0-9]+) = ("[^"\n]*"|[^#\n]+?)( *#.*)?$', re.MULTILINE)


@cache
def shipped() -> str:
    """The file as it is shipped."""
    return (ROOT / "deployment.toml").read_text(encoding="utf-8")


@cache
def key_lines() -> list[re.Match[str]]:
    """Every `key = value` in it that stands on one line."""
    return [line for line in KEY_LINE.finditer(shipped()) if not line[2].strip().endswith(("[", "{"))]


def floats(value: object) -> Iterator[float]:
    """Every float anywhere inside."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from floats(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from floats(inner)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployment.toml"


def outcome(file: Path, text: str | bytes, environment: str = "production") -> Loaded | SettingsError:
    """What loading `text` comes to; any other exception than SettingsError is a failure of the test."""
    file.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    loaded = None
    refused = None
    try:
        loaded = load(file, environment, VARIABLES)
    except SettingsError as error:
        refused = error
    if loaded is None:
        assert refused is not None
        assert str(file) in refused.cause
        assert refused.remedy
        return refused
    assert all(math.isfinite(one) for one in floats(loaded.settings.model_dump()))
    return loaded


def refusal(file: Path, text: str | bytes, environment: str = "production") -> str:
    """The words with which `text` is refused."""
    refused = outcome(file, text, environment)
    assert isinstance(refused, SettingsError), "accepted"
    return str(refused)


def replaced(old: str, new: str) -> str:
    """The shipped file with one place changed."""
    assert old in shipped()
    return shipped().replace(old, new, 1)


def test_the_file_as_it_is_shipped_is_right_for_each_of_its_environments(file: Path) -> None:
    for environment in ("staging", "production", "sandbox"):
        loaded = outcome(file, shipped(), environment)
        assert isinstance(loaded, Loaded), loaded
        assert loaded.settings.environment == environment


# --- anything at all -----------------------------------------------------------------------------------------------------

anything = settings(max_examples=60)


@anything
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused_in_words(file: Path, content: bytes) -> None:
    refusal(file, content)


@anything
@given(data=st.data())
def test_any_damage_to_the_file_is_refused_in_words_or_does_no_harm(file: Path, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(shipped())))
    end = data.draw(st.integers(start, min(start + 200, len(shipped()))))
    outcome(file, shipped()[:start] + data.draw(st.text(max_size=20)) + shipped()[end:])


@anything
@given(data=st.data())
def test_any_value_at_any_key_is_refused_in_words_or_does_no_harm(file: Path, data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(key_lines()))
    value = data.draw(st.sampled_from(ODD_VALUES) | st.text(max_size=20).map(lambda text: f"'{text}'"))
    outcome(file, shipped()[: line.start(2)] + value + shipped()[line.end(2) :])


def test_a_value_of_the_wrong_type_is_refused_with_its_key_at_every_key(file: Path) -> None:
    assert len(key_lines()) > 40
    for line in key_lines():
        said = refusal(file, shipped()[: line.start(2)] + WRONG + shipped()[line.end(2) :])
        assert re.search(rf"\b{line[1]}\b", said), said


def test_an_unknown_key_is_refused_with_its_name_beside_every_key(file: Path) -> None:
    for line in key_lines():
        said = refusal(file, shipped()[: line.start()] + f"{line[1]}x = {line[2]}\n" + shipped()[line.start() :])
        assert re.search(rf"\b{line[1]}x: unknown key", said), said


@anything
@given(
    st.sampled_from(["nan", "inf", "-inf", "-1", "-0.5", "1e400"]),
    st.sampled_from(["largest_answer_mb", "certificate_days_left"]),
)
def test_a_number_that_is_none_or_is_negative_is_refused(file: Path, number: str, key: str) -> None:
    line = next(line for line in key_lines() if line[1] == key)
    assert key in refusal(file, shipped()[: line.start(2)] + number + shipped()[line.end(2) :])


# --- single mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('url = "https://api.bayit.plus"\n', "", "environments.production.url: is missing"),
        ('name = "Bayit+"\n', "", "service.name: is missing"),
        ('roles = ["production"]\n', "", "roles: is missing"),
        ('roles = ["production"]', "roles = []", "roles: "),
        ('roles = ["production"]', 'roles = ["prod"]', "roles.0: input should be 'staging' or 'production'"),
        ('policy = "automatic"', 'policy = "automagic"', "rollback.policy: input should be 'automatic' or 'manual'"),
        ('retry_after = "30s"', "retry_after = 30", "smoke.retry_after: expected a duration"),
        ('retry_after = "30s"', 'retry_after = "0s"', "smoke.retry_after: input should be greater than 0"),
        ('timeout = "10s"', 'timeout = "1h"', "smoke.timeout: input should be less than or equal to 300"),
        ('error_rate = "1%"', "error_rate = 0.01", "limits.error_rate: expected a rate"),
        ('p95_latency = "500ms"', 'p95_latency = "0ms"', "limits.p95_latency: input should be greater than 0"),
        ('p95_latency = "500ms"', 'p95_latency = "3s"', "monitor.roll_back_at.p95_latency must be "),
        ('error_rate = "1%"', 'error_rate = "6%"', "monitor.roll_back_at.error_rate must be "),
        (
            'control_within = "20s"',
            'control_within = "4s"',
            "rollback.control_within (4s) must be longer than smoke.timeout (10s)",
        ),
        ('timeout = "10s"', 'timeout = "20s"', "rollback.control_within (20s) must be longer than smoke.timeout (20s)"),
        (
            'shift_within = "2m"',
            'shift_within = "15s"',
            "rollback.control_within (20s) must be at most rollback.shift_within (15s)",
        ),
        ('timezone = "America/New_York"', 'timezone = "../../etc/passwd"', "window.timezone: expected a time zone"),
        ('opens = "10:00"', "opens = 1000", "window.opens: expected a time of day"),
        ('closes = "16:00"', 'closes = "10:00"', "window.closes: the window must not close when it opens"),
        ('days = ["Tuesday", "Thursday"]', 'days = ["Tue"]', "window.days.0: "),
        ('path = "/health"', 'path = "health"', "health.basic.path: expected a path"),
        ('path = "/health"', 'path = "//evil.example/"', "health.basic.path: expected a path"),
        ('path = "/health"', 'path = "/he\\r\\nalth"', "health.basic.path: expected a path"),
        ("at_least = 1", "at_least = -1", "flows.content_listing.at_least: "),
        ('password_field = "password"', 'password_field = "pw"', "password_field names no key of body"),
        ("[flows.content_listing]", "[flows.other]", "flows.other: unknown key"),
        ("branch = ", "branche = ", "github.branche: unknown key"),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_a_mistake_is_named_with_its_key(file: Path, old: str, new: str, told: str) -> None:
    assert told in refusal(file, replaced(old, new))


def test_the_control_needs_no_time_where_a_person_decides(file: Path) -> None:
    file.write_text(replaced('control_within = "20s"', 'control_within = "4s"').replace('"automatic"', '"manual"'))
    assert load(file, "production", VARIABLES).settings.rollback.control_within == 4


def test_a_misspelt_key_comes_with_the_right_one(file: Path) -> None:
    for old, new in (
        ("retry_after = ", "retry_afer = "),
        ("region = ", "regoin = "),
        ("media_types = ", "mediatypes = "),
    ):
        assert f'Did you mean "{old.removesuffix(" = ")}"?' in refusal(file, replaced(old, new))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "describes no environment"),
        (b"environments = 5", "describes no environment"),
        (b"[environments]", "describes no environment"),
        (b"environments.production = 5", "environments.production is not a table"),
        (b"a = ", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a = " + b"[" * 5000, "nests its values too deeply"),
        (b"a = " + b"9" * 5000, "is not valid TOML"),
        (
            b"[environments.production." + b".".join([b"a"] * 3000) + b"]\n[" + b".".join([b"a"] * 3000) + b"]\n",
            "too deeply",
        ),
    ],
    ids=lambda value: value.decode("latin-1")[:25] if isinstance(value, bytes) else None,
)
def test_a_file_that_is_none_is_refused_in_words(file: Path, content: bytes, told: str) -> None:
    assert told in refusal(file, content)


def test_a_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    for file, told in (
        (tmp_path, "cannot be read"),
        (tmp_path / "none", "there is no file"),
        (Path("a\0b"), "not valid"),
    ):
        with pytest.raises(SettingsError, match=told) as caught:
            load(file, "production", VARIABLES)
        assert caught.value.remedy


@pytest.mark.parametrize(
    "address",
    [
        "api.example",
        "ftp://api.example",
        "https://",
        "https:///",
        "https://:443",
        "https://h:99999",
        "https://h:0",
        "https://h:x",
        "https://[::1",
        "https://a..b",
        f"https://{'a' * 64}.example",
        "https://h o",
        "https://h\\u0000",
        "https://h\\n",
        "https://h/?a=b",
        "https://h#a",
        "https://h\\\\@evil.example",
        "HTTPS://h",
        "javascript:alert(1)",
        "",
        "//h",
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_an_address_that_no_question_could_be_put_to_is_refused(file: Path, address: str) -> None:
    assert "environments.production.url: " in refusal(file, replaced('"https://api.bayit.plus"', f'"{address}"'))


@pytest.mark.parametrize(
    "address", ["https://h", "http://127.0.0.1:8080", "https://[::1]:8443/base/", "https://h.example./"]
)
def test_an_address_is_taken_without_its_last_slash(file: Path, address: str) -> None:
    loaded = outcome(file, replaced('"https://api.bayit.plus"', f'"{address}"'))
    assert isinstance(loaded, Loaded)
    assert loaded.settings.target.url == address.rstrip("/")


# --- secrets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["https://user:hunter22@h", "https://hunter22@h", "https://user:hunter22@h:1/a", "https://user:hunter22?@h"],
)
def test_an_address_with_credentials_is_refused_without_showing_them(file: Path, address: str) -> None:
    for environment in ("production", "staging"):
        url = {"production": "https://api.bayit.plus", "staging": "https://staging-api.bayit.plus"}[environment]
        said = refusal(file, replaced(f'"{url}"', f'"{address}"'))
        assert f"environments.{environment}.url: an address must not carry credentials" in said
        assert "hunter22" not in said


@pytest.mark.parametrize(
    "value", ["hunter22", "$smoke_password", "$SMOKE_USER_PASSWORD ", "${SMOKE_USER_PASSWORD}", "$", ""]
)
def test_a_password_in_plain_text_is_refused_without_showing_it(file: Path, value: str) -> None:
    said = refusal(file, replaced('password = "$SMOKE_USER_PASSWORD"', f'password = "{value}"'))
    assert "flows.login: body.password must name an environment variable" in said
    assert "hunter22" not in said


def test_anything_that_looks_like_a_secret_by_its_key_is_refused_in_plain_text(file: Path) -> None:
    for key in ("client_secret", "apiKey", "Token", "passwd"):
        said = refusal(file, replaced('body = { email = "$SMOKE_USER_EMAIL"', f'body = {{ {key} = "hunter22"'))
        assert f"body.{key} must name" in said
        assert "hunter22" not in said


def test_what_is_no_secret_may_stand_in_the_file(file: Path) -> None:
    assert isinstance(outcome(file, replaced('email = "$SMOKE_USER_EMAIL"', 'grant_type = "password"')), Loaded)


def test_no_value_of_the_file_is_repeated_in_a_refusal(file: Path) -> None:
    """A secret may have slipped in anywhere."""
    for line in key_lines():
        text = shipped()[: line.start(2)] + "'hunter22\t://u:hunter22@x'" + shipped()[line.end(2) :]
        result = outcome(file, text)
        assert "hunter22" not in str(result) or isinstance(result, Loaded)


def test_floats_are_found_wherever_they_stand() -> None:
    assert list(floats({"a": [1.5, {"b": (2.5,)}], "c": 1})) == [1.5, 2.5]
