FROM ubuntu:24.04
RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir six
RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir uv && python3 -m uv pip install --system --no-cache --break-system-packages idna
