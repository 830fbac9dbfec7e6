FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY client/package.json client/
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/assets.mjs scripts/
COPY src/ src/
COPY client/ client/
RUN npm run build

FROM node:24-slim
WORKDIR /app
RUN install --directory --owner=node --group=node --mode=0700 /data
COPY package.json package-lock.json .npmrc ./
COPY client/package.json client/
RUN npm ci --omit=dev && npm cache clean --force
COPY --from=build --chown=node:node /app/dist dist/
ENV ENVIRONMENT=production DATA_DIR=/data
USER node
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8000) + '/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
