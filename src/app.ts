import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { remoteKeySet } from './auth/key-set.ts';
import { sharedSecret } from './auth/shared-secret.ts';
import { createTokenVerifier, type KeySource } from './auth/token-verifier.ts';
import { createBatchService } from './batch/batch-service.ts';
import { createChangeFeed } from './changes/feed.ts';
import type { Config, TokenKeys } from './config.ts';
import { ByteBudget } from './core/byte-budget.ts';
import { type Clock, systemClock } from './core/clock.ts';
import type { Database } from './database/database.ts';
import type { Notifications } from './database/notifications.ts';
import { mountRest } from './doors/rest/index.ts';
import { createEraseService } from './exchange/erase-service.ts';
import { createExportService } from './exchange/export-service.ts';
import { createImportService } from './exchange/import-service.ts';
import { authenticate } from './http/authenticate.ts';
import { allowOrigins, noStore } from './http/cors-and-headers.ts';
import { EventStreams } from './http/event-stream.ts';
import { explainIn } from './http/explain.ts';
import { exposeHealth } from './http/health.ts';
import { shedLoad } from './http/load-shedding.ts';
import { limitLongRequests } from './http/long-requests.ts';
import { collectMethods, rejectOtherMethods } from './http/methods.ts';
import { exposeMetrics } from './http/metrics.ts';
import { collectOpenApi, exposeOpenApi } from './http/openapi.ts';
import { limitRate } from './http/rate-limit.ts';
import { logRequests } from './http/request-log.ts';
import { createServer } from './http/server.ts';
import { limitUnsentAnswers } from './http/unsent-answers.ts';
import { limitUserConcurrency } from './http/user-concurrency.ts';
import { JobScheduler } from './jobs/scheduler.ts';
import { listEffects } from './lists/list-effects.ts';
import { listJobs } from './lists/list-jobs.ts';
import { createListService } from './lists/list-service.ts';
import { taskEffects } from './tasks/task-effects.ts';
import { taskJobs } from './tasks/task-jobs.ts';
import { createTaskService } from './tasks/task-service.ts';
import { replyJobs } from './writes/job.ts';
import { createWriter } from './writes/writer.ts';

export interface AppOptions {
  readonly config: Pick<
    Config,
    | 'environment'
    | 'issuer'
    | 'audience'
    | 'userClaim'
    | 'frontendOrigins'
    | 'rateLimitPerMinute'
    | 'maxTasksPerUser'
    | 'deletedTasksDays'
  > & {
    readonly tokenKeys: Exclude<TokenKeys, { kind: 'development' }>;
  };
  readonly database: Database;
  /** Between the processes that share the database; null if there can be no others. */
  readonly notifications?: Notifications | null;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Event-loop delay that starts load shedding; `Infinity` disables it. */
  readonly maxEventLoopDelayMs?: number;
  /** Bytes of answers not yet taken by the kernel, above which further ones are refused. */
  readonly maxUnsentBytes?: number;
  /** How long a client may take to read an answer. */
  readonly maxAnswerMs?: number;
  /** The time between two turns of background jobs. */
  readonly jobsEveryMs?: number;
  /** The second in which the times of event streams are counted, in milliseconds. */
  readonly streamTickMs?: number;
  /** Timeout of a fetch of the key set. */
  readonly keySetTimeoutMs?: number;
}

const MAX_UNSENT_BYTES = 64 * 1024 * 1024;
const MAX_ANSWER_MS = 60_000;
const JOBS_EVERY_MS = 60_000;

function keySource({
  config,
  logger,
  clock = systemClock,
  keySetTimeoutMs = 3_000,
}: AppOptions): KeySource | Promise<KeySource> {
  const { tokenKeys } = config;
  if (tokenKeys.kind === 'secret') return sharedSecret(tokenKeys.secret, tokenKeys.algorithm);
  const onWarning = (message: string, err?: unknown) => logger.warn({ err }, message);
  return remoteKeySet({ url: tokenKeys.url, clock, timeoutMs: keySetTimeoutMs, onWarning });
}

/** Composes the HTTP application; the caller opens the database, listens and handles signals. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { config, database, logger, clock = systemClock, maxEventLoopDelayMs = 1_000 } = options;
  const onWarning = (message: string, err?: unknown) => logger.warn({ err }, message);
  const keys = await keySource(options);
  const tokens = createTokenVerifier({ ...config, keys, clock });
  const isReady = async () => {
    if (!tokens.isReady()) throw new Error('No key set younger than 24 h');
    await database.ping();
  };

  // Hooks of the same kind run in the order of registration.
  // onRequest: headers, Host; preParsing: content type and encoding; preValidation: body present
  const { frontendOrigins, environment } = config;
  const app = createServer({ logger, frontendOrigins, explain: explainIn[environment] });
  const methods = collectMethods(app);
  logRequests(app); //                                      onRequest, onResponse
  await allowOrigins(app, frontendOrigins); //              onRequest
  await collectOpenApi(app);
  const unsent = new ByteBudget(options.maxUnsentBytes ?? MAX_UNSENT_BYTES);
  const unsentBytes = limitUnsentAnswers(app, { budget: unsent, maxMs: options.maxAnswerMs ?? MAX_ANSWER_MS }); // onSend
  const concurrency = limitUserConcurrency(app); //         onSend
  const long = limitLongRequests(concurrency.onRequest);
  exposeMetrics(app, [...concurrency.gauges, ...long.gauges, unsentBytes]); // onResponse
  exposeHealth(app, isReady);
  const changes = createChangeFeed({ database, notifications: options.notifications ?? null, onWarning });
  const jobs = new JobScheduler({
    jobs: [...taskJobs(database, config), ...listJobs(database), ...replyJobs(database)],
    everyMs: options.jobsEveryMs ?? JOBS_EVERY_MS,
    clock,
    signal: app.draining,
    onWritten: changes.wake,
    onWarning,
  });
  const writer = createWriter(database, (user) => {
    changes.wake(user);
    jobs.noteWrite();
  });
  const effects = taskEffects(config, clock);
  const lists = listEffects(config.deletedTasksDays);
  await mountRest(app, {
    tasks: createTaskService({ database, writer, effects, unsent, clock }),
    lists: createListService({ database, writer, effects: lists, afterDeletions: effects.afterDeletions }),
    batches: createBatchService(writer, { tasks: effects, lists }),
    changes,
    streams: new EventStreams(app, { clock, tickMs: options.streamTickMs }),
    exchange: {
      exports: createExportService(database, clock),
      imports: createImportService({
        database,
        writer,
        effects,
        lists,
        maxTasksPerUser: config.maxTasksPerUser,
      }),
      erasure: createEraseService(writer),
    },
    maxTasksPerUser: config.maxTasksPerUser,
    onRequest: [
      shedLoad(app, maxEventLoopDelayMs),
      authenticate(tokens),
      ...(await limitRate(app, config.rateLimitPerMinute)),
      long.onRequest,
      noStore,
    ],
  });
  await exposeOpenApi(app);
  rejectOtherMethods(app, methods);
  return app;
}
