import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { FromWorker, ToWorker } from './engine.ts';

/** A log file that is no longer needed is removed, where a server would keep it for the next: the room is given back. */
const START_PARAMS = [...PGlite.defaultStartParams, '-c', 'wal_recycle=off'];

/** The thread in which PGlite works: blocks of protocol bytes in, blocks of protocol bytes out, one at a time. */
async function serve(directory: string): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('This file is a worker thread');
  const post = (message: FromWorker) => port.postMessage(message);
  const pglite = await PGlite.create(directory, { startParams: START_PARAMS });

  let turn: Promise<void> = Promise.resolve();
  const answer = async (block: Uint8Array): Promise<void> => {
    const parts: Uint8Array[] = [];
    await pglite.execProtocolRawStream(block, { onRawData: (part) => parts.push(part.slice()) });
    post({ kind: 'answer', block: Buffer.concat(parts) });
  };
  port.on('message', (message: ToWorker) => {
    turn = turn
      .then(() => (message.kind === 'ask' ? answer(message.block) : pglite.close()))
      .catch((error: unknown) => post({ kind: 'broken', reason: String(error) }))
      .then(() => {
        if (message.kind === 'stop') port.close();
      });
  });
  post({ kind: 'ready' });
}

await serve(String(workerData));
