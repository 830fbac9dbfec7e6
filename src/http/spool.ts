import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../core/errors.ts';

/** Read at once: what a line takes is done many times with it before others have their turn. */
const CHUNK_BYTES = 16_384;

/** A request body in a temporary file, which has no name any more. */
export interface SpooledBody {
  /** Reads it from the start. */
  readonly read: () => AsyncIterable<Buffer>;
  readonly remove: () => Promise<void>;
}

/**
 * Writes `body` to a temporary file, which goes with the process whatever happens.
 * @throws {AppError} `PAYLOAD_TOO_LARGE` above `maxBytes`; what reading `body` throws.
 */
export async function spool(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<SpooledBody> {
  const path = join(tmpdir(), `todo-api-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new AppError('PAYLOAD_TOO_LARGE');
      await file.write(chunk);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    read: async function* () {
      for (let position = 0; ; ) {
        const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
        const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
    },
    remove: () => file.close(),
  };
}
