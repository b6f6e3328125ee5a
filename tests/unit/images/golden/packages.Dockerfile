FROM python:3.11-slim
RUN python -m pip install --no-cache-dir 'numpy>=2' 'scipy; python_version > '"'"'3.8'"'"''
RUN python -m pip install --no-cache-dir uv && python -m uv pip install --system --no-cache --default-index=https://example.org/cpu --prerelease=allow torch
RUN python -m uv pip install --system --no-cache six
RUN python -m pip install --no-cache-dir --find-links=/wheels --extra-index-url=https://example.org/simple mine
