FROM python:3.12-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y 'ffmpeg=7:5.1*' git && rm -rf /var/lib/apt/lists/*
# The next command has the variables of these secrets: hf
RUN echo one
# The next command has the variables of these secrets: hf
RUN ["/bin/sh", "-c", "cat <<EOF\ntwo\nEOF"]
# The next command has the variables of these secrets: hf
RUN ["/bin/sh", "-c", "[ -d / ]"]
# The next command has the variables of these secrets: hf
RUN ["/bin/sh", "-c", "--odd"]
# The next command has the variables of these secrets: hf
RUN ["/bin/sh", "-c", "echo '#' three \\"]
RUN ["python", "-c", "WEIGHTS = 'small'\n\ndef _fetch(name: str, times: int = 1) -> None:\n    import json  # noqa: F401 - as functions for images do\n\n    print(name * times, WEIGHTS)\n\nif __name__ == '__main__':\n    _fetch('a$b', times=2)\n"]
ENTRYPOINT ["/bin/init", "-x"]
