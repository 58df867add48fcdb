# Builds one static program and runs it as an ordinary user.
#
#   docker build -t acervo .
#   docker run --network host -v ~/Acervo:/docs -v acervo-data:/data acervo
#
# The host's network, because Acervo listens on loopback only and finds Ollama there.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /acervo ./cmd/acervo && mkdir -p -m 1777 /empty/docs /empty/data /empty/tmp

FROM scratch
COPY --from=build /acervo /acervo
COPY --from=build --chown=65532:65532 /empty/ /
USER 65532:65532
ENV ACERVO_DOCS=/docs ACERVO_DATA=/data
VOLUME ["/docs", "/data"]
ENTRYPOINT ["/acervo"]
CMD ["serve"]
