# The image of the operator: one binary, what it links, the CA certificates.
#
#   docker build -t tremplin .
#       compiles everything in the image `rust`: needs nothing but Docker.
#   make image
#       takes the release binary that cargo built on this machine (BINARY=prebuilt), and needs neither Docker nor
#       a registry. The machine's C library must not be newer than the one of Debian bookworm.
ARG BINARY=built

FROM docker.io/library/rust:1.95-bookworm AS built
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p tremplin && install -D target/release/tremplin /out/tremplin

FROM docker.io/library/debian:bookworm-slim AS prebuilt
COPY target/release/tremplin /out/tremplin

FROM ${BINARY} AS binary

FROM docker.io/library/debian:bookworm-slim AS rootfs
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates
COPY --from=binary /out/tremplin /rootfs/tremplin
# The list of libraries is the loader's, not ours, so that it cannot go stale. Names are looked up by libc
# itself (since 2.34 the modules `files` and `dns` are part of it): no nsswitch.conf, no further library.
RUN set -eu; \
    chmod 0555 /rootfs/tremplin; \
    if ldd /rootfs/tremplin | grep 'not found'; then exit 1; fi; \
    for library in $(ldd /rootfs/tremplin | grep -o '/[^ ]*'); do install -D -m 0555 "$library" "/rootfs$library"; done; \
    install -D -m 0444 /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ca-certificates.crt

FROM scratch AS operator
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tremplin" \
      org.opencontainers.image.description="A Kubernetes operator that gives small public-service teams a PaaS by GitOps" \
      org.opencontainers.image.source="https://github.com/tremplin-dev/tremplin" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=rootfs /rootfs /
# Any user may run it: everything is readable by all and nothing is written. The group is 0, as OpenShift gives.
USER 65532:0
ENTRYPOINT ["/tremplin"]
