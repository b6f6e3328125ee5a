FROM alpine AS one
RUN true

FROM debian
COPY --from=one /a /a
# Built with --build-arg V=1
RUN ls
