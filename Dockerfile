# Two stages: the first builds an environment from uv.lock, the second holds nothing but that environment.

FROM python:3.13.14-slim-trixie AS builder

RUN pip install --no-cache-dir uv==0.13.8

ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never

WORKDIR /app

# what others made changes seldom, so it is a layer of its own
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --extra postgres --no-install-project

# not editable: the environment works without this folder
COPY README.md LICENSE ./
COPY providers providers
COPY migrations migrations
COPY bot bot
COPY cogs cogs
RUN uv sync --frozen --no-dev --extra postgres --no-editable


FROM python:3.13.14-slim-trixie

# with it, charts can be drawn in Chinese
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-wqy-microhei \
    && rm -rf /var/lib/apt/lists/*

RUN groupadd --system --gid 10001 wanbot \
    && useradd --system --uid 10001 --gid wanbot --no-create-home --home-dir /nonexistent wanbot \
    && install -d -o wanbot -g wanbot -m 700 /data

COPY --from=builder /app/.venv /app/.venv

ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    HTTP_ADDRESS=0.0.0.0

WORKDIR /app
USER 10001:10001
VOLUME /data

# Healthy is who holds an open connection to port 443, which for the bot is Discord's gateway. Discord
# hangs up on a bot whose event loop has stopped answering, so this sees a frozen bot, not only a dead one,
# without a port of our own and without starting Python. It can't tell whether jobs succeed; the log does.
# Behind a gateway proxy on another port, set a check of your own (docs/operations.md).
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=4 \
    CMD ["sh", "-c", "grep -qs ':01BB 01 ' /proc/net/tcp /proc/net/tcp6 || exit 1"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["wanbot"]
CMD ["run"]
