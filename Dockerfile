# The sidecar as an image: `docker build -t biot-sidecar .`, then see deploy/README.md. With the simulator and the inspector
# beside it, to try things out: `docker build --target simulator -t biot-sidecar:simulator .`
#
# The base (Debian 13, Python 3.14) is pinned by its digest: the same bytes for ever. Its maintainers rebuild what the tag
# names when Debian mends something; RELEASING.md says how the digest follows. Where no registry is reached, an image of
# that name is taken: --build-arg BASE=docker.io/library/python:3.14.8-slim-trixie
ARG BASE=docker.io/library/python:3.14.8-slim-trixie@sha256:f85c5697265c178cc6887276c55fe16cf3d14ca35c3df6a5eab3b360534a55d2

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# For our own modules, which are compiled here; the compiler stays in this stage. (DL3008: any that Debian has will do.)
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
# Everything else comes compiled, each wheel checked against the hash in the locks.
COPY requirements.lock requirements-compile.lock ./
RUN pip download --quiet --require-hashes --only-binary :all: --dest /wheels \
        --requirement requirements.lock --requirement requirements-compile.lock \
    && pip install --quiet --no-index --find-links /wheels --requirement requirements.lock --requirement requirements-compile.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY deploy/sbom deploy/sbom
COPY config config
COPY proxy proxy
COPY deploy/prepare_start.py deploy/
RUN BIOT_SIDECAR_COMPILED=1 python -m hatchling build --target wheel -d /wheels
# Only what the sidecar imports goes along, what a shared token and traces need among it: the build tools of the locks
# stay in this stage. What goes is compiled, or there is no image. (No version is named, DL3013: /wheels has one of each,
# the locked one.)
# hadolint ignore=DL3013
RUN python -m venv --without-pip /opt/biot-sidecar \
    && pip --python /opt/biot-sidecar/bin/python install --quiet --no-index --find-links /wheels "biot-sidecar[redis,otel]" \
    && /opt/biot-sidecar/bin/python -P deploy/prepare_start.py \
    && /opt/biot-sidecar/bin/python -P -c "from biot_sidecar.http import proxy as it; assert it.__file__.endswith('.so'), it"

FROM build AS build-all
# hadolint ignore=DL3013
RUN pip --python /opt/biot-sidecar/bin/python install --quiet --no-index --find-links /wheels "biot-sidecar[all]"

# What every image of ours is, but for the packages.
FROM ${BASE} AS runtime
ARG BASE
ARG VERSION=0.2.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="biot-sidecar" \
      org.opencontainers.image.description="A localhost sidecar that logs BioT plugins in and forwards their calls." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"
# The base brings the standard library without byte code, and nothing is written at run time: each start would compile anew
# what it imports. What no plugin's sidecar imports stays out.
RUN python -m compileall -q --invalidation-mode unchecked-hash \
        -x '/(site-packages|dist-packages|tests?|idlelib|tkinter|turtledemo|pydoc_data|unittest|lib2to3|config-[^/]*)/' \
        "$(python -c 'import os; print(os.path.dirname(os.__file__))')"
COPY deploy/docker/healthy /opt/biot-sidecar/bin/
COPY config/routes.yaml config/routes.schema.json /etc/biot-sidecar/
COPY LICENSE THIRD-PARTY-NOTICES.txt deploy/sbom/image.cdx.json /usr/share/doc/biot-sidecar/
# Nothing is written at run time: the root file system may be read-only.
ENV PATH=/opt/biot-sidecar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SIDECAR_ROUTES=/etc/biot-sidecar/routes.yaml
WORKDIR /
# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --start-interval=1s --retries=3 CMD ["healthy"]
ENTRYPOINT ["biot-sidecar"]
CMD ["serve"]

FROM runtime AS simulator
COPY --from=build-all /opt/biot-sidecar /opt/biot-sidecar
CMD ["demo"]

# The last stage is what `docker build` makes if no target is named.
FROM runtime AS sidecar
COPY --from=build /opt/biot-sidecar /opt/biot-sidecar
