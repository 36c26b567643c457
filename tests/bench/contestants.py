"""The proxies: each adds an Authorization header and keeps its upstream connections; workers that are set are one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.program import Program
from tests.bench.upstream import USER, Upstream
from tests.bench.workshop import COMPILED, PEERS, PYTHON, ROOT, Missing, debian, go_proxy, in_venv
from tests.support.ports import free_port


@dataclass(frozen=True)
class Job:
    """What a proxy is to do, and where it may keep its files."""

    upstream: Upstream
    tls: bool
    folder: Path
    closing: bool = False  # the upstream ends each connection after its answer

    @property
    def url(self) -> str:
        if self.closing:
            return f"https://{self.upstream.name}:{self.upstream.closing}"
        return self.upstream.url(tls=self.tls)

    @property
    def address(self) -> str:
        return self.url.partition("//")[2]

    @property
    def upstream_port(self) -> str:
        return self.url.rpartition(":")[2]

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


RULES: Final = """\
version: 1
routes:
  - {name: patient updates run interceptors, match: "PATCH /organization/v1/users/patients/{id}", interception: on}
  - {name: keys are not for plugins, match: "POST|DELETE /ums/v2/services/{id}/secret-keys/**", deny: not for plugins}
  - {name: files, match: "* /file/v1/**", timeout: 5m}
"""


def routes(count: int) -> str:
    """A routes file of so many routes; the last one is that of the load."""
    lines = [RULES.rstrip()]
    for number in range(count - 4):
        kind = "deny: closed" if number % 10 == 0 else "interception: on"
        lines.append(f'  - {{name: rule {number}, match: "GET|PUT /generic-entity/v{number}/{{id}}/part", {kind}}}')
    lines.append('  - {name: patients, match: "GET /organization/v1/users/patients/{id}"}')
    return "\n".join(lines) + "\n"


def sidecar(job: Job, *, table: str = RULES, interpreted: bool = False, **settings: str) -> Program:
    """Everything on: metrics, access log, rules, token, guards. Compiled as in its image, unless `interpreted`."""
    name = "sidecar, interpreted" if interpreted else "sidecar"
    port = free_port()
    environment = {
        "BIOT_BASE_URL": job.url,
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY": "bench",
        "SIDECAR_CA_FILE": str(job.upstream.ca_file),
        "SIDECAR_LISTEN": f"127.0.0.1:{port}",
        "SIDECAR_ROUTES": job.write(f"{name}.yaml", table),
        "PYTHONPATH": str(ROOT if interpreted else COMPILED),
        **settings,
    }
    command = [sys.executable, "-P", "-m", "biot_sidecar", "serve"]
    return Program(name, command, port, job.folder / f"{name}.log", environment, job.folder, piped=True)


def nginx(job: Job) -> Program:
    port, folder = free_port(), job.folder
    trusted = f"proxy_ssl_trusted_certificate {job.upstream.ca_file};"
    temporary = " ".join(
        f"{kind}_temp_path {folder}/nginx-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    trust = f"proxy_ssl_protocols TLSv1.3; proxy_ssl_verify on; proxy_ssl_name {job.upstream.name}; {trusted}"
    config = job.write(
        "nginx.conf",
        f"""\
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; client_max_body_size 0; {temporary}
  proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0;
  upstream biot {{ server {job.address}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass {"https" if job.tls else "http"}://biot; proxy_set_header Connection ""; {trust if job.tls else ""}
      proxy_set_header Authorization "Bearer {job.upstream.token}";
    }}
  }}
}}
""",
    )
    return Program("nginx", [debian("nginx", "nginx-light"), "-c", config], port, folder / "nginx.log")


def haproxy(job: Job) -> Program:
    port = free_port()
    tls = f"ssl verify required ca-file {job.upstream.ca_file}" if job.tls else ""
    config = job.write(
        "haproxy.cfg",
        f"""\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1m
  http-reuse always
listen sidecar
  bind 127.0.0.1:{port}
  http-request set-header Authorization "Bearer {job.upstream.token}"
  server biot 127.0.0.1:{job.upstream_port} {tls}
""",
    )
    return Program("haproxy", [debian("haproxy", "haproxy"), "-f", config], port, job.folder / "haproxy.log")


def envoy(job: Job) -> Program:
    """With the filter made for this job, credential_injector."""
    port = free_port()
    biot = f"{{address: 127.0.0.1, port_value: {job.upstream_port}}}"
    tls = f"""
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          tls_params: {{tls_maximum_protocol_version: TLSv1_3}}
          validation_context: {{trusted_ca: {{filename: {job.upstream.ca_file}}}}}
"""
    config = job.write(
        "envoy.yaml",
        f"""\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: sidecar
          route_config:
            virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: biot}}}}]}}]
          http_filters:
          - name: envoy.filters.http.credential_injector
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
              overwrite: true
              credential:
                name: generic
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
                  credential: {{name: token}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: biot
    type: STATIC
    load_assignment:
      cluster_name: biot
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {biot}}}}}}}]}}]
{tls if job.tls else ""}
  secrets:
  - name: token
    generic_secret: {{secret: {{inline_string: "Bearer {job.upstream.token}"}}}}
""",
    )
    command = [in_venv("envoy/_bin/envoy"), "-c", config, "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    return Program("Envoy", command, port, job.folder / "envoy.log")


def go(job: Job) -> Program:
    """As it comes: with as many threads as there are cores."""
    port = free_port()
    command = [go_proxy(), f"127.0.0.1:{port}", job.url, str(job.upstream.ca_file), job.upstream.token]
    return Program("Go ReverseProxy", command, port, job.folder / "go.log")


def go_single(job: Job) -> Program:
    """Held to one thread, as if it ran in a container with one core."""
    program = go(job)
    program.name = "Go, one thread"
    program.environment["GOMAXPROCS"] = "1"
    return program


def caddy(job: Job) -> Program:
    port = free_port()
    transport = f"transport http {{\n tls_trust_pool file {job.upstream.ca_file}\n }}" if job.tls else ""
    config = job.write(
        "Caddyfile",
        f"""\
{{
  admin off
  auto_https off
  log {{
    level ERROR
  }}
}}
http://127.0.0.1:{port} {{
  reverse_proxy {job.url} {{
    header_up Authorization "Bearer {job.upstream.token}"
    {transport}
  }}
}}
""",
    )
    command = [in_venv("../../../bin/caddy"), "run", "--adapter", "caddyfile", "--config", config]
    return Program("Caddy", command, port, job.folder / "caddy.log")


def mitmproxy(job: Job) -> Program:
    port = free_port()
    options = [
        "stream_large_bodies=1m", "flow_detail=0", "connection_strategy=lazy", f"confdir={job.folder}/mitmproxy",
        f"ssl_verify_upstream_trusted_ca={job.upstream.ca_file}",
    ]  # fmt: skip
    command = [in_venv("../../../bin/mitmdump"), "-q", "--mode", f"reverse:{job.url}", "-s", str(PEERS / "inject.py")]
    command += ["--listen-host", "127.0.0.1", "--listen-port", str(port)]
    command += [word for option in options for word in ("--set", option)]
    return Program("mitmproxy", command, port, job.folder / "mitmproxy.log", {"BENCH_TOKEN": job.upstream.token})


def aiohttp(job: Job) -> Program:
    if not PYTHON.is_file():
        raise Missing(f"there is no {PYTHON}")
    port = free_port()
    command = [str(PYTHON), str(PEERS / "plain_aiohttp.py"), str(port), job.url]
    command += [str(job.upstream.ca_file), job.upstream.token]
    return Program("plain aiohttp", command, port, job.folder / "aiohttp.log")


MAKERS: Final[dict[str, Callable[[Job], Program]]] = {
    "sidecar": sidecar,
    "sidecar, interpreted": functools.partial(sidecar, interpreted=True),
    "nginx": nginx,
    "haproxy": haproxy,
    "Envoy": envoy,
    "Go ReverseProxy": go,
    "Go, one thread": go_single,
    "Caddy": caddy,
    "plain aiohttp": aiohttp,
    "mitmproxy": mitmproxy,
}
DIALLERS: Final = ("sidecar", "nginx", "Go ReverseProxy", "Go, one thread")
"""Whose new connections are measured."""
CROWDED: Final = ("sidecar", "sidecar, interpreted", "nginx", "Go ReverseProxy")
"""Who is measured with many clients."""
ALL_IN_FLIGHT: Final = "1024"
"""SIDECAR_MAX_IN_FLIGHT of a sidecar that answers 1,000 clients at once."""
LIMITED: Final = "sidecar, 256 in flight"
"""The sidecar as it comes, which answers the others with 503 after a second in its queue."""
