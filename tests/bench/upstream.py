"""BioT for a benchmark: nginx, plain and over TLS, fast enough not to be what is measured."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path

from tests.bench.program import Program
from tests.bench.workshop import debian
from tests.support.authority import Authority
from tests.support.ports import free_port

BIG = 64 * 1024 * 1024
USER = "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11"
EXPIRES = 4102444800  # 2100-01-01

_CONFIG = """\
daemon off; worker_processes 1; pid {folder}/upstream.pid; error_log {folder}/upstream.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/json;
  keepalive_requests 1000000000; keepalive_timeout 1h; client_max_body_size 0; client_body_buffer_size 65m;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  ssl_certificate {certificate}; ssl_certificate_key {certificate};
  # One cipher for all, the one that AWS's load balancers choose first: no peer wins by its taste in ciphers.
  ssl_protocols TLSv1.3; ssl_prefer_server_ciphers on; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  server {{
    listen 127.0.0.1:{closing} ssl backlog=4096; keepalive_timeout 0; # closes after each answer
    location / {{ return 200 '{patient}'; }}
    location = /ums/v2/services/accessToken {{ return 200 '{login}'; }}
  }}
  server {{
    listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{tls} ssl backlog=4096;
    location / {{
      if ($http_authorization !~ "^Bearer ") {{ return 401; }}
      return 200 '{patient}';
    }}
    location = /ums/v2/services/accessToken {{ return 200 '{login}'; }}
    location = /_connections {{ stub_status; }}
    location = /file/v1/down {{ alias {big}; }}
    # nginx answers once it has read the whole body.
    location = /file/v1/up {{
      proxy_pass http://127.0.0.1:{plain}/; proxy_pass_request_body off; proxy_set_header Content-Length "";
    }}
  }}
}}
"""


class Upstream:
    """One nginx at 127.0.0.1; `name` is what its certificate says and what its peers call it, `url(tls)` is where it
    answers, `ca_file` whom to trust, `token` what its login gives. At `closing` each answer ends its connection.
    """

    def __init__(self, folder: Path, name: str = "127.0.0.1") -> None:
        authority = Authority(folder)
        self.ca_file, self.certificate = authority.ca_file, authority.server_file(name)
        self.name = name
        self.plain, self.tls, self.closing = free_port(), free_port(), free_port()
        self.token = _jwt()
        big = folder / "big"
        big.write_bytes(bytes(range(256)) * (BIG // 256))
        config = folder / "upstream.conf"
        config.write_text(
            _CONFIG.format(
                folder=folder,
                plain=self.plain,
                tls=self.tls,
                closing=self.closing,
                certificate=self.certificate,
                patient=_patient(),
                login=login_body(self.token),
                big=big,
            )
        )
        command = [debian("nginx", "nginx-light"), "-c", str(config)]
        self.program = Program("the upstream", command, self.plain, folder / "upstream.out", good=b"HTTP/1.1 401")

    def accepted(self) -> int:
        """Connections that it has taken so far, the one that asks included."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plain}/_connections", timeout=60) as answer:
            return int(answer.read().split()[7])  # Active connections: 1 server accepts handled requests 16630948 ...

    def url(self, *, tls: bool) -> str:
        return f"https://{self.name}:{self.tls}" if tls else f"http://{self.name}:{self.plain}"


def _patient() -> str:
    """1 KB of JSON."""
    patient = {"_id": "11111111-1111-4111-8111-111111111111", "_name": {"firstName": "A", "lastName": "B"}, "notes": ""}
    patient["notes"] = "x" * (1024 - len(json.dumps(patient)))
    return json.dumps(patient)


def login_body(token: str) -> str:
    """BioT's answer to a login."""
    return json.dumps({"accessToken": token, "accessTokenExpiration": "2100-01-01T00:00:00.000Z"})


def _jwt() -> str:
    """A token of a JWT's looks and usual length; nobody here checks its signature."""
    parts = [{"alg": "RS512"}, {"exp": EXPIRES, "sub": USER, "scopes": ["x" * 400]}]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "s" * 342])
