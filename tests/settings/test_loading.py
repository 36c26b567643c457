"""Every setting: what it takes, what it refuses and in which words, and that one start reports every problem."""

from __future__ import annotations

import msgspec
import pytest
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings import ListenAddress, load
from biot_sidecar.settings.checks import check_system
from biot_sidecar.settings.reader import Reader
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.table import DEFAULTS, FLAGS, SHARED

from tests.settings.given import ENOUGH, SECRET, USER, environment, problem, problems, settings


def test_the_three_that_biot_gives_its_plugins_are_enough():
    read = settings()
    assert read.upstream.url == "https://api.example"
    assert (read.service_user_id, read.secret, read.secret_file) == (USER, Secret(SECRET), None)
    assert read.listen == (ListenAddress("127.0.0.1", 8787),)
    assert (read.admin_listen, read.token_store, read.upstream.ca_file) == (None, None, None)
    assert (read.login_at_start, read.inspect) == (True, False)
    assert (read.string_gap, read.fresh_for, read.drain_timeout) == (30.0, 300.0, 25.0)
    assert (read.max_in_flight, read.workers, read.loop_limit) == (256, 1, 8)
    assert (read.plugin_login, read.log_level, read.log_format) == ("local", "info", "")
    assert read.allowed_hosts == {b"localhost", b"127.0.0.1", b"::1", b"api.example", b"lambda.aws.com"}
    assert read.allowed_origins == frozenset()
    assert read.warnings == ()


@pytest.mark.parametrize("name", sorted(set(DEFAULTS) - set(ENOUGH)))
@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_setting_is_an_unset_one(name, empty):
    assert settings(**{name: empty}) == settings()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("SIDECAR_LISTEN", "127.0.0.1:0", "listen", (ListenAddress("127.0.0.1", 0),)),
        ("SIDECAR_LISTEN", "127.9.9.9:1", "listen", (ListenAddress("127.9.9.9", 1),)),
        ("SIDECAR_LISTEN", "localhost:1", "listen", (ListenAddress("localhost", 1),)),
        ("SIDECAR_LISTEN", "unix:/run/a.sock", "listen", (ListenAddress("", path="/run/a.sock"),)),
        ("SIDECAR_LISTEN", " [::1]:1 ,unix:a,", "listen", (ListenAddress("::1", 1), ListenAddress("", path="a"))),
        ("SIDECAR_LISTEN", "127.0.0.1:0,127.0.0.1:0", "listen", (ListenAddress("127.0.0.1", 0),) * 2),
        ("SIDECAR_ADMIN_LISTEN", "0.0.0.0:9090", "admin_listen", ListenAddress("0.0.0.0", 9090)),
        ("SIDECAR_ADMIN_LISTEN", "[::]:9090", "admin_listen", ListenAddress("::", 9090)),
        ("SIDECAR_ADMIN_LISTEN", "unix:/run/admin", "admin_listen", ListenAddress("", path="/run/admin")),
        ("SIDECAR_ROUTES", "/etc/routes.yaml", "routes", "/etc/routes.yaml"),
        ("SIDECAR_ALLOWED_HOSTS", "A, b.example.:80,[::1]:1", "allowed_hosts", {b"a", b"b.example", b"::1"}),
        ("SIDECAR_ALLOWED_ORIGINS", "https://A.example:444", "allowed_origins", {b"https://a.example:444"}),
        ("SIDECAR_ALLOWED_ORIGINS", "app://a, http://[::1]", "allowed_origins", {b"app://a", b"http://[::1]"}),
        ("SIDECAR_LOGIN_AT_START", "0", "login_at_start", False),
        ("SIDECAR_LOGIN_AT_START", "no", "login_at_start", False),
        ("SIDECAR_INSPECT", "1", "inspect", True),
        ("SIDECAR_INSPECT", "TRUE", "inspect", True),
        ("SIDECAR_STRING_GAP", "250ms", "string_gap", 0.25),
        ("SIDECAR_FRESH_FOR", "0", "fresh_for", 0.0),
        ("SIDECAR_FRESH_FOR", "1m30s", "fresh_for", 90.0),
        ("SIDECAR_DRAIN_TIMEOUT", "1h", "drain_timeout", 3600.0),
        ("SIDECAR_PLUGIN_LOGIN", "Forward", "plugin_login", "forward"),
        ("SIDECAR_PLUGIN_LOGIN", "deny", "plugin_login", "deny"),
        ("SIDECAR_MAX_IN_FLIGHT", "1", "max_in_flight", 1),
        ("SIDECAR_WORKERS", "4", "workers", 4),
        ("SIDECAR_LOOP_LIMIT", "100", "loop_limit", 100),
        ("SIDECAR_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("SIDECAR_LOG_FORMAT", "text", "log_format", "text"),
    ],
)  # fmt: skip
def test_a_good_value_is_taken(name, text, field, value):
    assert getattr(settings(**{name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("BIOT_BASE_URL", None, "is not set; it is BioT's address, such as https://api"),
        ("BIOT_BASE_URL", "http://api.example", "tokens would travel in the clear; use https, or set SIDECAR_ALLOW_PL"),
        ("BIOT_BASE_URL", "http://127.0.0.1.nip.io", "is plain http"),
        ("BIOT_SERVICE_USER_ID", None, "is not set; it is the id of the service user"),
        ("BIOT_SERVICE_USER_ID", "\udcff", "is not UTF-8 text"),
        ("BIOT_SERVICE_USER_SECRET_KEY", None, "is not set; set it or BIOT_SERVICE_USER_SECRET_KEY_FILE"),
        ("BIOT_SERVICE_USER_SECRET_KEY", "", "is not set"),
        ("BIOT_SERVICE_USER_SECRET_KEY", "\udcff", "is not UTF-8 text"),
        ("SIDECAR_LISTEN", "127.0.0.1", "'127.0.0.1' is no address; write HOST:PORT, [::1]:PORT or unix:PATH"),
        ("SIDECAR_LISTEN", ",", "names no address"),
        ("SIDECAR_LISTEN", "0.0.0.0:1", "'0.0.0.0' is not loopback: whoever reaches the port acts as the service user"),
        ("SIDECAR_LISTEN", "[::]:1", "set SIDECAR_ALLOW_REMOTE=1"),
        ("SIDECAR_LISTEN", "example.com:1", "not loopback"),
        ("SIDECAR_LISTEN", "127.0.0.1:1,127.0.0.1:1", "127.0.0.1:1 is listened on already"),
        ("SIDECAR_ADMIN_LISTEN", "x", "'x' is no address"),
        ("SIDECAR_ADMIN_LISTEN", "a:1,b:2", "more than one address"),
        ("SIDECAR_ADMIN_LISTEN", "127.0.0.1:8787", "127.0.0.1:8787 is listened on already"),
        ("SIDECAR_ALLOWED_HOSTS", "a,http://b", "'http://b' is no host name; write a, b.example, [::1]"),
        ("SIDECAR_ALLOWED_HOSTS", "*.a", "'*.a' is no host name"),
        ("SIDECAR_ALLOWED_HOSTS", "a b", "'a b' is no host name"),
        ("SIDECAR_ALLOWED_HOSTS", "ü", "'ü' is no host name"),
        ("SIDECAR_ALLOWED_ORIGINS", "https://a/", "'https://a/' is no origin; write scheme://host[:port]"),
        ("SIDECAR_ALLOWED_ORIGINS", "*", "'*' is no origin"),
        ("SIDECAR_ALLOWED_ORIGINS", "null", "'null' is no origin"),
        ("SIDECAR_ALLOWED_ORIGINS", "https://a b", "'https://a b' is no origin"),
        ("SIDECAR_LOGIN_AT_START", "2", "'2' is neither 1 nor 0"),
        ("SIDECAR_INSPECT", "maybe", "'maybe' is neither 1 nor 0"),
        ("SIDECAR_ALLOW_REMOTE", "please", "'please' is neither 1 nor 0"),
        ("SIDECAR_ALLOW_PLAIN_HTTP", "-", "'-' is neither 1 nor 0"),
        ("SIDECAR_STRING_GAP", "30", "'30' is no duration; write a number and a unit, such as 250ms, 30s, 5m or 1h"),
        ("SIDECAR_FRESH_FOR", "-1s", "'-1s' is no duration"),
        ("SIDECAR_DRAIN_TIMEOUT", "200h", "'200h' is longer than a week"),
        ("SIDECAR_PLUGIN_LOGIN", "locall", "'locall' is none of local, forward, deny; did you mean local?"),
        ("SIDECAR_TOKEN_STORE", "http://redis", "is no redis:// address"),
        ("SIDECAR_TOKEN_STORE", "redis://redis:port/0", "is no redis:// address"),
        ("SIDECAR_TOKEN_STORE", "redis://redis:70000", "is no redis:// address"),
        ("SIDECAR_MAX_IN_FLIGHT", "0", "'0' is no whole number from 1 to 100000"),
        ("SIDECAR_MAX_IN_FLIGHT", "1e3", "no whole number"),
        ("SIDECAR_WORKERS", "257", "'257' is no whole number from 1 to 256"),
        ("SIDECAR_WORKERS", "٣", "no whole number"),
        ("SIDECAR_LOOP_LIMIT", "-1", "'-1' is no whole number from 1 to 1000000"),
        ("SIDECAR_LOG_LEVEL", "warn", "'warn' is none of debug, info, warning, error; did you mean warning?"),
        ("SIDECAR_LOG_FORMAT", "xml", "'xml' is none of json, text"),
        ("SIDECAR_CA_FILE", "/no/such/file", "'/no/such/file' cannot be read: No such file or directory"),
        ("SIDECAR_CA_FILE", __file__, "holds no certificates in PEM form"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_under_its_name(name, text, words):
    said = problem(**{name: text})
    assert said.startswith(f"{name}: ")
    assert words in said


def test_every_problem_is_reported_at_once():
    bad = {
        name: "nonsense !"
        for name in DEFAULTS
        if name not in {"SIDECAR_ROUTES", "BIOT_SERVICE_USER_ID", "BIOT_SERVICE_USER_SECRET_KEY"}
    }
    bad |= {"BIOT_SERVICE_USER_ID": None, "BIOT_SERVICE_USER_SECRET_KEY": None, "SIDECAR_SECRET_COMMAND": None}
    named = [said.partition(":")[0] for said in problems(**bad)]
    assert sorted(named) == sorted(
        set(DEFAULTS) - SHARED - {"SIDECAR_ROUTES", "BIOT_SERVICE_USER_SECRET_KEY", "SIDECAR_SECRET_COMMAND"}
    )


def test_a_sidecar_that_calls_itself_is_reported_beside_other_problems():
    said = problems(BIOT_BASE_URL="http://localhost:8787", SIDECAR_WORKERS="0")
    assert "BIOT_BASE_URL: points at the sidecar itself (port 8787)" in said
    assert len(said) == 2


@pytest.mark.parametrize(
    ("upstream", "listen", "itself"),
    [
        ("http://127.0.0.1:8787", "127.0.0.1:8787", True),
        ("http://127.0.0.1:8787", "[::1]:1,localhost:8787", True),
        ("http://localhost:8787", "[::1]:8787", True),
        ("http://127.0.0.1:8787", "0.0.0.0:8787", True),
        ("http://127.0.0.1:8787", "[::1]:8787", False),
        ("http://127.0.0.1:8787", "127.0.0.2:8787", False),
        ("http://127.0.0.1:8787", "127.0.0.1:8788,unix:/a", False),
        ("https://api.example:8787", "127.0.0.1:8787", False),
    ],
)
def test_the_sidecar_is_not_its_own_upstream(upstream, listen, itself):
    given = {"BIOT_BASE_URL": upstream, "SIDECAR_LISTEN": listen, "SIDECAR_ALLOW_REMOTE": "1"}
    if itself:
        assert "points at the sidecar itself" in problem(**given)
    else:
        assert settings(**given).upstream.url == upstream


def test_plain_http_goes_where_that_is_allowed():
    read = settings(BIOT_BASE_URL="http://api.example", SIDECAR_ALLOW_PLAIN_HTTP="1")
    assert read.upstream.url == "http://api.example"


def test_what_is_wrong_with_one_item_hides_nothing_about_another():
    assert problems(SIDECAR_LISTEN="x,127.0.0.1:1,0.0.0.0:2", SIDECAR_ADMIN_LISTEN="127.0.0.1:1") == [
        "SIDECAR_LISTEN: 'x' is no address; write HOST:PORT, [::1]:PORT or unix:PATH, such as 127.0.0.1:8787",
        "SIDECAR_LISTEN: '0.0.0.0' is not loopback: whoever reaches the port acts as the service user; use 127.0.0.1, "
        "or set SIDECAR_ALLOW_REMOTE=1",
        "SIDECAR_ADMIN_LISTEN: 127.0.0.1:1 is listened on already",
    ]


def test_another_machine_may_be_listened_to_when_that_is_said():
    assert settings(SIDECAR_LISTEN="0.0.0.0:1", SIDECAR_ALLOW_REMOTE="1").listen == (ListenAddress("0.0.0.0", 1),)


@pytest.mark.parametrize("store", ["redis://h:1/0", "rediss://:canary-password@h", "unix:///run/redis"])
def test_a_token_store_is_a_secret_since_it_may_hold_a_password(store):
    read = settings(SIDECAR_TOKEN_STORE=store)
    assert read.token_store == Secret(store)
    assert store not in repr(read)


def test_a_bad_token_store_is_not_quoted():
    assert "canary-password" not in problem(SIDECAR_TOKEN_STORE="http://:canary-password@h")


def test_settings_never_show_the_secret():
    assert SECRET not in repr(settings())
    assert SECRET not in str(msgspec.structs.astuple(settings()))


@pytest.mark.parametrize(("given", "secret"), [("s\n", "s"), ("s\r\n", "s"), (" s \n\n", " s \n"), ("s\nt", "s\nt")])
def test_one_final_line_ending_is_no_part_of_the_secret_of_the_environment_and_other_white_space_is(given, secret):
    assert settings(BIOT_SERVICE_USER_SECRET_KEY=given).secret == Secret(secret)


def test_a_line_ending_alone_is_no_secret():
    assert problems(BIOT_SERVICE_USER_SECRET_KEY="\n") == [
        "BIOT_SERVICE_USER_SECRET_KEY: holds a line ending and nothing else"
    ]


@pytest.mark.parametrize("given", ['"canary"', " canary", "canary\n\n", "\ufeffcanary"])
@pytest.mark.parametrize("name", ["BIOT_SERVICE_USER_SECRET_KEY", "BIOT_SERVICE_USER_SECRET_KEY_FILE"])
def test_what_stands_around_a_secret_is_warned_about_and_not_shown(tmp_path, given, name):
    file = tmp_path / "secret"
    file.write_text(given)
    # Without the other source of the secret that `settings` gives by default.
    values = {"BIOT_SERVICE_USER_SECRET_KEY": "", name: str(file) if name.endswith("FILE") else given}
    (warning,) = settings(**values).warnings
    assert warning.startswith(f"{name}: the secret ")
    assert "canary" not in warning


def test_secret_and_file_are_one_too_many(tmp_path):
    said = problem(BIOT_SERVICE_USER_SECRET_KEY_FILE=str(tmp_path))
    assert said.startswith("BIOT_SERVICE_USER_SECRET_KEY: and BIOT_SERVICE_USER_SECRET_KEY_FILE are both set")


def test_a_secret_file_is_named_not_read_into_the_settings(tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    read = settings(BIOT_SERVICE_USER_SECRET_KEY=None, BIOT_SERVICE_USER_SECRET_KEY_FILE=str(file))
    assert (read.secret, read.secret_file) == (None, str(file))


# ---- flag over environment over default


def test_the_flags_are_these():
    assert FLAGS == {
        "BIOT_BASE_URL": "--upstream",
        "SIDECAR_LISTEN": "--listen",
        "SIDECAR_ADMIN_LISTEN": "--admin-listen",
        "SIDECAR_ROUTES": "--routes",
        "SIDECAR_UPSTREAM_PROXY": "--upstream-proxy",
        "SIDECAR_LOG_LEVEL": "--log-level",
        "SIDECAR_LOG_FORMAT": "--log-format",
    }


@pytest.mark.parametrize(
    ("name", "flag", "environ", "field"),
    [
        ("BIOT_BASE_URL", "https://flag.example", "https://environment.example", "upstream"),
        ("SIDECAR_LISTEN", "127.0.0.1:1", "127.0.0.1:2", "listen"),
        ("SIDECAR_ADMIN_LISTEN", "127.0.0.1:1", "127.0.0.1:2", "admin_listen"),
        ("SIDECAR_ROUTES", "/flag.yaml", "/environment.yaml", "routes"),
    ],
)
def test_a_flag_counts_over_the_environment_and_that_over_the_default(name, flag, environ, field):
    by_flag = load(environment(**{name: environ}), {name: flag})
    assert getattr(by_flag, field) == getattr(settings(**{name: flag}), field)
    assert getattr(by_flag, field) != getattr(settings(**{name: environ}), field)
    assert getattr(settings(**{name: environ}), field) != getattr(settings(), field)


def test_a_flag_spares_the_environments_bad_value():
    assert load(environment(SIDECAR_LISTEN="nonsense"), {"SIDECAR_LISTEN": "127.0.0.1:1"}).listen[0].port == 1


def test_a_problem_of_a_flag_is_reported_under_the_flag():
    with pytest.raises(BadSettings) as caught:
        load(environment(), {"SIDECAR_LISTEN": "x", "BIOT_BASE_URL": "y"})
    assert [said.partition(":")[0] for said in caught.value.problems] == ["--upstream", "--listen"]


# ---- what is odd but no error


def test_a_misspelt_setting_is_warned_of():
    assert settings(SIDECAR_LISTN="x").warnings == ("SIDECAR_LISTN is no setting; did you mean SIDECAR_LISTEN?",)


def test_what_kubernetes_makes_up_for_a_service_called_sidecar_is_left_alone():
    assert settings(SIDECAR_PORT="tcp://10.0.0.1:80", SIDECAR_SERVICE_HOST="10.0.0.1", SIDECAR_URL="x").warnings == ()


def test_an_id_that_is_no_uuid_is_warned_of():
    (said,) = settings(BIOT_SERVICE_USER_ID="me").warnings
    assert said.startswith("BIOT_SERVICE_USER_ID is not a UUID")


@pytest.mark.parametrize(("given", "asked"), [({}, False), ({"SIDECAR_SECRET_KEY_CHECK": "1"}, True)])
def test_on_lambda_the_secret_keys_end_is_asked_for_only_where_that_is_set(given, asked):
    assert settings().secret_key_check
    assert not settings(SIDECAR_SECRET_KEY_CHECK="0").secret_key_check
    assert settings(AWS_LAMBDA_FUNCTION_NAME="f", **given).secret_key_check is asked


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, []),
        ({"SIDECAR_WORKERS": "1", "SIDECAR_INSPECT": "0"}, []),
        ({"SIDECAR_WORKERS": "2"}, ["SIDECAR_WORKERS: no sharing here; leave it at 1"]),
        ({"SIDECAR_TOKEN_STORE": "unix:///s"}, ["SIDECAR_TOKEN_STORE: no files here; use redis:// or rediss://"]),
        ({"SIDECAR_INSPECT": "1"}, ["SIDECAR_INSPECT: no files here, and the page is served on one; leave it at 0"]),
    ],
)
def test_what_a_system_does_not_have_is_refused_in_words(asked, told):
    reader = Reader(environment(**asked), {})
    check_system(reader, no_workers="no sharing here", no_unix="no files here")
    assert reader.problems == told


def test_this_system_has_all_of_it():
    reader = Reader(environment(SIDECAR_WORKERS="2", SIDECAR_INSPECT="1"), {})
    check_system(reader)
    assert reader.problems == []
