import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { WorkerRequest, WorkerResponse } from './engine.ts';

/** WAL segments that are no longer needed are removed, not recycled: disk space is given back. */
const START_PARAMS = [...PGlite.defaultStartParams, '-c', 'wal_recycle=off'];

/** Runs PGlite in a worker thread: takes blocks of protocol messages one at a time, and answers each with a block. */
async function serve(directory: string): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('worker.ts must run in a worker thread');
  const post = (message: WorkerResponse) => port.postMessage(message);
  const pglite = await PGlite.create(directory, { startParams: START_PARAMS });

  let last: Promise<void> = Promise.resolve();
  const execute = async (block: Uint8Array): Promise<void> => {
    const parts: Uint8Array[] = [];
    await pglite.execProtocolRawStream(block, { onRawData: (part) => parts.push(part.slice()) });
    post({ kind: 'answer', block: Buffer.concat(parts) });
  };
  port.on('message', (message: WorkerRequest) => {
    last = last
      .then(() => (message.kind === 'execute' ? execute(message.block) : pglite.close()))
      .catch((error: unknown) => post({ kind: 'failed', reason: String(error) }))
      .then(() => {
        if (message.kind === 'stop') port.close();
      });
  });
  post({ kind: 'ready' });
}

await serve(String(workerData));
