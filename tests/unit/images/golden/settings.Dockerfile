FROM python:3.11-slim
ENV A="\$HOME `x` \"y\" 'z' \\n" B="" C="a=b # c"
WORKDIR /with space/\$x
ENTRYPOINT []
