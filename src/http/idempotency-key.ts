import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** SHA-256 of the body as it was sent; null if there was none, or no idempotency key. */
    bodyDigest: Buffer | null;
  }
}

/** Bare, or in double quotes (draft-ietf-httpapi-idempotency-key-header, 2.1); visible ASCII (RFC 5234, VCHAR). */
const KEY = /^(?:"([\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e][\x21-\x7e]{0,254}))$/;

export function digestKeyedBodies(app: FastifyInstance): void {
  app.decorateRequest('bodyDigest', null);
}

/** To be called with each body before it is parsed. */
export function digestBody(request: FastifyRequest, bytes: Buffer): void {
  if (bytes.length === 0 || request.headers['idempotency-key'] === undefined) return;
  request.bodyDigest = createHash('sha256').update(bytes).digest();
}

/**
 * The idempotency key of a write, and a digest of what was requested: method, path with query, and body.
 * @returns null if the request has none. @throws {AppError} `INVALID_REQUEST` if it is malformed.
 */
export function retryOf(request: FastifyRequest): { readonly key: string; readonly request: string } | null {
  const value = request.headers['idempotency-key'];
  if (value === undefined) return null;
  const [, quoted, bare] = KEY.exec(value.toString().trim()) ?? [];
  const key = quoted ?? bare;
  if (key === undefined) {
    throw new AppError('INVALID_REQUEST', { message: 'Idempotency-Key must be 1 to 255 visible ASCII characters' });
  }
  const hash = createHash('sha256').update(`${request.method} ${request.raw.url}\n`);
  return { key, request: hash.update(request.bodyDigest ?? '').digest('base64url') };
}
