FROM ghcr.io/org/name:1.2
USER root
RUN (command -v curl >/dev/null || (apt-get update && apt-get install -y curl ca-certificates)) && curl -LsSf https://astral.sh/uv/install.sh | UV_INSTALL_DIR=/opt/python/bin UV_NO_MODIFY_PATH=1 sh && UV_PYTHON_INSTALL_DIR=/opt/python /opt/python/bin/uv venv --seed --python 3.11 /usr/local/python && ln -sf /usr/local/python/bin/* /usr/local/bin/
RUN PIP_BREAK_SYSTEM_PACKAGES=1 python -m pip install --no-cache-dir six
RUN true
LABEL a=b
