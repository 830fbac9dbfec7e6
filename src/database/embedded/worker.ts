import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { WorkerData, WorkerRequest, WorkerResponse } from './engine.ts';
import { isHeld } from './lock-file.ts';

/** WAL segments that are no longer needed are removed, not recycled: disk space is given back. */
const START_PARAMS = [...PGlite.defaultStartParams, '-c', 'wal_recycle=off'];

/** How often the lock of the data directory is verified while blocks are executed. */
const VERIFY_LOCK_MS = 1_000;

/** PostgreSQL's messages about itself; those about statements could hold what users wrote. */
const REPORTED = /\b(?:LOG|WARNING|FATAL|PANIC|DETAIL): .*/;

/** Runs PGlite in a worker thread: takes blocks of protocol messages one at a time, and answers each with a block. */
async function serve({ directory, lock }: WorkerData): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('worker.ts must run in a worker thread');
  const post = (message: WorkerResponse) => port.postMessage(message);
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
  const pglite = await PGlite.create(directory, { startParams: START_PARAMS, onStderr });

  let last: Promise<void> = Promise.resolve();
  const execute = async (block: Uint8Array): Promise<void> => {
    verifyLock();
    const parts: Uint8Array[] = [];
    await pglite.execProtocolRawStream(block, { onRawData: (part) => parts.push(part.slice()) });
    post({ kind: 'answer', block: Buffer.concat(parts) });
  };
  const close = async (): Promise<void> => {
    verifyLock();
    await pglite.close();
  };
  port.on('message', (message: WorkerRequest) => {
    last = last
      .then(() => (message.kind === 'execute' ? execute(message.block) : close()))
      .catch((error: unknown) => post({ kind: 'failed', reason: String(error) }))
      .then(() => {
        if (message.kind === 'stop') port.close();
      });
  });
  post({ kind: 'ready' });
}

await serve(workerData);
