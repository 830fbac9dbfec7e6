import type { PipelinedConnection } from './connection.ts';
import type { QueuedTransaction } from './turns.ts';

/** Reads fill one connection up to this many before the next is used, which takes fewer system calls. */
const READS_PER_CONNECTION = 8;
/** Head-of-line blocking: a connection whose oldest transaction is older than this gets no new ones. */
const BLOCKED_AFTER_MS = 100;

/** FNV-1a, of UTF-16 code units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** Whether `connection` takes a transaction now, of at most `depth` in flight. */
export function takesWork(connection: PipelinedConnection, depth: number, now: number): boolean {
  if (!connection.acceptsWork || connection.inFlight >= depth) return false;
  return now - (connection.oldestSentAt ?? now) <= BLOCKED_AFTER_MS;
}

/**
 * The writes of one user go to one connection, because each holds the lock of the user's row until it is committed: on
 * several, they would wait for each other, and others behind them. While that connection is blocked, and not by this
 * user's writes, they go to another.
 */
function homeOf(connections: readonly PipelinedConnection[], userId: string): PipelinedConnection | undefined {
  return connections[hashOf(userId) % connections.length];
}

/** @returns the connection that `queued` is to be sent on; null if none takes it now. */
export function pickConnection(
  connections: readonly PipelinedConnection[],
  depth: number,
  { access, identity }: Pick<QueuedTransaction, 'access' | 'identity'>,
): PipelinedConnection | null {
  const now = performance.now();
  if (access === 'write' && identity.kind === 'user') {
    const home = homeOf(connections, identity.userId);
    if (home !== undefined && takesWork(home, depth, now)) return home;
    if (home?.isWritingFor(identity.userId)) return null;
  }
  const rank = ({ inFlight }: PipelinedConnection) =>
    access === 'read' ? Math.floor(inFlight / READS_PER_CONNECTION) : inFlight;
  let best: PipelinedConnection | null = null;
  for (const connection of connections) {
    if (takesWork(connection, depth, now) && (best === null || rank(connection) < rank(best))) best = connection;
  }
  return best;
}
