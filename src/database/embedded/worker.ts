import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { serialize } from 'pg-protocol';
import { DurableNodeFs } from './durable-node-fs.ts';
import type { WorkerData, WorkerRequest, WorkerResponse } from './engine.ts';
import { isHeld } from './lock-file.ts';

const SETTINGS = [
  'shared_buffers=16MB', // of 128 MB, which is resident memory; the system caches the files besides
  'wal_recycle=off', // WAL segments that are no longer needed are removed, not recycled: disk space is given back
  'wal_sync_method=fsync',
  'full_page_writes=on',
  'synchronous_commit=off', // what a block has committed is flushed once, at its end
];
const NO_FSYNC = '-F';
const START_PARAMS = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== NO_FSYNC),
  ...SETTINGS.flatMap((setting) => ['-c', setting]),
];

/** Flushes the WAL unless it is flushed: with the record of an empty message, not transactional, flushed at once. */
const FLUSH = serialize.query(
  `select pg_logical_emit_message(false, '', '', true) where pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()`,
);

/** How often the lock of the data directory is verified while blocks are executed. */
const VERIFY_LOCK_MS = 1_000;

/** PostgreSQL's messages about itself; those about statements could hold what users wrote. */
const REPORTED = /\b(?:LOG|WARNING|FATAL|PANIC|DETAIL): .*/;

/**
 * Runs PGlite in a worker thread: takes blocks of protocol messages one at a time, and answers each with a block, once
 * what it has committed is on the disk if the request says so. One flush serves all blocks that are waiting.
 */
async function serve({ directory, lock }: WorkerData): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('worker.ts must run in a worker thread');
  const post = (message: WorkerResponse) => port.postMessage(message);
  const answer = (block: Uint8Array<ArrayBuffer>) => {
    const message: WorkerResponse = { kind: 'answer', block };
    port.postMessage(message, [block.buffer]); // transferred, not copied
  };
  /** At once: PGlite catches exceptions and would go on. */
  const fail = (error: unknown): never => {
    post({ kind: 'failed', reason: String(error) });
    process.exit(1);
  };
  let verifiedAt = 0;
  const verifyLock = () => {
    if (Math.abs(Date.now() - verifiedAt) < VERIFY_LOCK_MS) return;
    if (!isHeld(lock)) throw new Error('Another process has taken the data directory');
    verifiedAt = Date.now();
  };
  const onStderr = (line: string) => {
    const [text] = REPORTED.exec(line) ?? [];
    if (text !== undefined) post({ kind: 'reported', text });
    return false;
  };
  verifyLock();
  const fs = await DurableNodeFs.open(directory, fail);
  const pglite = await PGlite.create({ fs, startParams: START_PARAMS, onStderr });

  const waiting: WorkerRequest[] = [];
  /** Answers that wait for a flush, and those after them, which may show what is not flushed. */
  const held: Uint8Array<ArrayBuffer>[] = [];
  const next = (): WorkerRequest | undefined => {
    for (let sent = receiveMessageOnPort(port); sent !== undefined; sent = receiveMessageOnPort(port)) {
      waiting.push(sent.message);
    }
    return waiting.shift();
  };
  const execute = async (block: Uint8Array): Promise<Uint8Array<ArrayBuffer>> => {
    verifyLock();
    const parts: Uint8Array<ArrayBuffer>[] = [];
    await pglite.execProtocolRawStream(block, { onRawData: (part) => parts.push(new Uint8Array(part)) });
    const [first] = parts;
    return parts.length === 1 && first !== undefined ? first : new Uint8Array(Buffer.concat(parts));
  };
  const close = async (): Promise<void> => {
    verifyLock();
    await pglite.close();
  };
  const releaseHeld = async (): Promise<void> => {
    if (held.length > 0 && !pglite.isInTransaction()) await pglite.execProtocol(FLUSH);
    for (const block of held.splice(0)) answer(block);
  };
  const run = async (): Promise<void> => {
    for (;;) {
      const request = next();
      if (request?.kind !== 'execute') {
        await releaseHeld();
        if (request?.kind === 'stop') await close().finally(() => port.close());
        return;
      }
      const block = await execute(request.block);
      if (request.flush || held.length > 0) held.push(block);
      else answer(block);
    }
  };
  let isRunning = false;
  port.on('message', async (request: WorkerRequest) => {
    waiting.push(request);
    if (isRunning) return;
    isRunning = true;
    await run().catch(fail);
    isRunning = false;
  });
  post({ kind: 'ready' });
}

await serve(workerData);
