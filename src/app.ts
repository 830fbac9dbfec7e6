import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { remoteKeySet } from './auth/key-set.ts';
import { sharedSecret } from './auth/shared-secret.ts';
import { createTokenVerifier, type KeySource } from './auth/token-verifier.ts';
import type { Config, TokenKeys } from './config.ts';
import { type Clock, systemClock } from './core/clock.ts';
import type { Database } from './database/database.ts';
import { mountRest } from './doors/rest/index.ts';
import { authenticate } from './http/authenticate.ts';
import { corsAndHeaders } from './http/cors-and-headers.ts';
import { exposeHealth } from './http/health.ts';
import { collectMethods, rejectOtherMethods } from './http/methods.ts';
import { exposeMetrics } from './http/metrics.ts';
import { collectOpenApi, exposeOpenApi } from './http/openapi.ts';
import { logRequests } from './http/request-log.ts';
import { createServer } from './http/server.ts';
import { createTaskService } from './tasks/task-service.ts';

export interface AppOptions {
  readonly config: Pick<Config, 'issuer' | 'audience' | 'frontendOrigins' | 'rateLimitPerMinute'> & {
    readonly tokenKeys: Exclude<TokenKeys, { kind: 'development' }>;
  };
  readonly database: Database;
  readonly logger: Logger;
  readonly clock?: Clock;
}

function keySource({ config, logger, clock = systemClock }: AppOptions): KeySource | Promise<KeySource> {
  const { tokenKeys } = config;
  if (tokenKeys.kind === 'secret') return sharedSecret(tokenKeys.secret, tokenKeys.algorithm);
  return remoteKeySet({ url: tokenKeys.url, clock, onWarning: (message, err) => logger.warn({ err }, message) });
}

/** Composes the HTTP application; the caller opens the database, listens and handles signals. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { config, database, logger, clock = systemClock } = options;
  const keys = await keySource(options);
  const tokens = createTokenVerifier({ keys, issuer: config.issuer, audience: config.audience, clock });
  const tasks = createTaskService(database);

  const app = createServer(logger);
  app.decorateRequest('principal', null);
  const methods = collectMethods(app);
  logRequests(app);
  await corsAndHeaders(app, config.frontendOrigins);
  await collectOpenApi(app);
  exposeMetrics(app);
  exposeHealth(app, database, tokens);
  await mountRest(app, {
    tasks,
    authenticate: authenticate(tokens),
    rateLimitPerMinute: config.rateLimitPerMinute,
  });
  await exposeOpenApi(app);
  rejectOtherMethods(app, methods);
  return app;
}
