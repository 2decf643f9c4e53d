FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Install scripts stay off: isolated-vm and esbuild bring their binaries inside their packages.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# The tour is what runs until a config of your own is mounted; in a container it has to listen on every address.
RUN node scripts/build.mjs \
 && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && mkdir -p /image/etc/sluice /image/app \
 && sed 's/address: 127.0.0.1:8080/address: "*:8080"/' proxy.yaml > /image/etc/sluice/proxy.yaml \
 && cp -r --parents examples/tour config/proxy.schema.json /image/etc/sluice/ \
 && cp -r --parents package.json bin dist config/proxy.schema.json node_modules /image/app/

FROM node:26-slim
ENV NODE_ENV=production
COPY --from=build /image/ /
RUN ln -s /app/bin/sluice.mjs /usr/local/bin/sluice
# By number, so that Kubernetes can tell that it is not root.
USER 1000:1000
WORKDIR /etc/sluice
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9900/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["sluice"]
CMD ["serve", "/etc/sluice/proxy.yaml", "--admin", "127.0.0.1:9900"]
