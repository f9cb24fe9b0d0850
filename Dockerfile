# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build

RUN python -m pip install --no-cache-dir uv
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY sp500tui ./sp500tui
COPY styles ./styles
RUN uv venv /opt/sp500tui \
    && uv pip install --no-cache --python /opt/sp500tui/bin/python ".[cluster]"

FROM python:3.13-slim-bookworm

# A user with a name and a home: the embedded database wants both when no other is given.
RUN useradd --create-home --uid 10001 --shell /usr/sbin/nologin sp500tui \
    && install -d -o sp500tui -g sp500tui -m 0700 /data
COPY --from=build /opt/sp500tui /opt/sp500tui
ENV PATH=/opt/sp500tui/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SP500TUI_DATA_DIR=/data
USER sp500tui
WORKDIR /home/sp500tui
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["sp500tui"]
CMD ["--no-ui"]
