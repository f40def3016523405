# r2vfs serve in a container; docs/CONTAINER.md says how. Untried: no container engine was at hand.
FROM rust:1.94-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin r2vfs

FROM debian:bookworm-slim
# The certificates of TLS; nothing else of the system is used.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/r2vfs r2vfs
COPY --from=build /src/target/release/r2vfs /usr/local/bin/r2vfs
USER r2vfs
# Caches and indexes; a volume keeps them over restarts.
VOLUME /var/lib/r2vfs
EXPOSE 8787
# Signals reach it as they are: SIGTERM lets calls end, SIGHUP reads the configuration again.
ENTRYPOINT ["r2vfs"]
CMD ["--config", "/etc/r2vfs.toml", "serve", "--listen", "0.0.0.0:8787"]
