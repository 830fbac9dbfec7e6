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

/** @param error of the connection or of the disk. */
function toAppError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ECONNRESET')
    return new AppError('INVALID_REQUEST', { message: 'Request was not received whole', cause: error });
  return code === 'ENOSPC' ? new AppError('SERVICE_UNAVAILABLE', { cause: error }) : error;
}

/**
 * Writes `body` to a temporary file, which goes with the process whatever happens.
 * @throws {AppError} `PAYLOAD_TOO_LARGE` above `maxBytes`; `INVALID_REQUEST` if the connection is lost;
 *   `SERVICE_UNAVAILABLE` if the disk is full; what reading `body` throws.
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
    throw toAppError(error);
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
