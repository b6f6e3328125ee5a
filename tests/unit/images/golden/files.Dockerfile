FROM python:3.11-slim
COPY [".cellburst/1/file", "/data/a.txt"]
COPY [".cellburst/2/", "/all of \\$it/"]
RUN ls /data
COPY [".cellburst/3/file", "/late.txt"]
