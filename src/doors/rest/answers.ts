import type { FastifyReply, FastifyRequest } from 'fastify';
import { expectedVersions, isKnown, knownTags } from '../../http/conditional.ts';
import { JSON_TYPE } from '../../http/error-reply.ts';
import { retryOf } from '../../http/idempotency-key.ts';
import type { WriteResult } from '../../writes/outcome.ts';
import type { Failures } from './failures.ts';

export type Request = Pick<FastifyRequest, keyof FastifyRequest>;
export type With<Body> = { readonly body: Body };

/** How a write is guarded: `If-Match` and `Idempotency-Key`. */
export const guardOf = (request: Request) => ({ expected: expectedVersions(request), retry: retryOf(request) });

const tagOf = (version: number) => `"${version}"`;

/** All that a user has of something, as JSON text; null if the state of what they have is the one that was known. */
interface Listed {
  readonly state: string;
  readonly json: string | Buffer | null;
}

/**
 * Sends what is listed with an entity tag of its state; 304 if the client has it.
 * @param view of the same things: what else the tag depends on.
 */
export async function sendListed(
  request: Request,
  reply: FastifyReply,
  view: string,
  list: (known: string | null) => Promise<Listed>,
) {
  const known = knownTags(request);
  const prefix = `${view}.`;
  const knownState = known === '*' ? undefined : known.find((tag) => tag.startsWith(prefix))?.slice(prefix.length);
  const { state, json } = await list(knownState ?? null);
  void reply.header('etag', `"${prefix}${state}"`);
  if (json === null || isKnown(known, prefix + state)) return reply.code(304).send();
  return reply.type(JSON_TYPE).send(json);
}

/** Sends one thing with its version as the entity tag; 304 if the client has it. */
export async function sendOne(
  request: Request,
  reply: FastifyReply,
  read: () => Promise<{ readonly version: number; readonly json: string }>,
) {
  const known = knownTags(request);
  const { version, json } = await read();
  void reply.header('etag', tagOf(version));
  return isKnown(known, String(version)) ? reply.code(304).send() : reply.type(JSON_TYPE).send(json);
}

interface Writes {
  /** Of the collection. */
  readonly path: string;
  /** The `message` of a deletion's answer. */
  readonly deletedMessage: string;
  readonly failures: Failures;
}

/** @returns a function that sends what was written, or throws the error of an outcome that is none. */
export const writtenSender =
  ({ path, deletedMessage, failures }: Writes) =>
  async (reply: FastifyReply, written: Promise<WriteResult>) => {
    const { outcome, isReplayed } = await written;
    if (isReplayed) void reply.header('idempotency-replayed', 'true');
    const { kind, id, version, json } = outcome;
    if (version !== null) void reply.header('etag', tagOf(version));
    if (kind === 'deleted') return { message: deletedMessage, id };
    if ((kind !== 'created' && kind !== 'changed') || json === null) throw failures(outcome);
    if (kind === 'created') void reply.code(201).header('location', `${path}/${id}`);
    return reply.type(JSON_TYPE).send(json);
  };
