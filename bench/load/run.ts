import { HttpConnection } from './http-connection.ts';
import type { PreparedRequest } from './requests.ts';
import type { LoadCommand, LoadResult } from './workload.ts';

/** Timeout for the responses still outstanding at the end of the run. */
const RESPONSE_TIMEOUT_MS = 15_000;

const percentile = (sorted: Float64Array, share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/**
 * Sends `requests` in a cycle over every connection until the time is over, then waits for the outstanding responses.
 * @throws on a response with an unexpected status, a connection error or a timeout.
 */
export function runLoad(command: LoadCommand, requests: readonly PreparedRequest[]): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const connections: HttpConnection[] = [];
    const latencies: number[] = [];
    let open = command.connections;
    const startedAt = performance.now();
    const stopAt = startedAt + command.milliseconds;
    const timeout = setTimeout(
      () => fail(new Error(`No response within ${RESPONSE_TIMEOUT_MS / 1000} s of the end of the run`)),
      command.milliseconds + RESPONSE_TIMEOUT_MS,
    );

    function end(): void {
      clearTimeout(timeout);
      for (const connection of connections) connection.close();
    }
    function fail(error: Error): void {
      end();
      reject(error);
    }
    function finish(): void {
      const milliseconds = performance.now() - startedAt;
      end();
      const sorted = Float64Array.from(latencies).sort();
      const [p50Ms, p99Ms] = [percentile(sorted, 0.5), percentile(sorted, 0.99)];
      resolve({ responses: sorted.length, milliseconds, p50Ms, p99Ms });
    }

    function connect(index: number): void {
      let next = Math.floor((index * requests.length) / command.connections);
      let sentAt = 0;
      let expected = 0;
      const onResponse = (status: number) => {
        const now = performance.now();
        if (status !== expected) return fail(new Error(`Status ${status} instead of ${expected}`));
        latencies.push(now - sentAt);
        if (now < stopAt) return send();
        open -= 1;
        if (open === 0) finish();
      };
      const connection = new HttpConnection(command.port, onResponse, fail);
      connections.push(connection);
      function send(): void {
        const request = requests[next % requests.length];
        if (request === undefined) throw new Error('No requests to send');
        next += 1;
        expected = request.status;
        sentAt = performance.now();
        connection.send(request.bytes);
      }
      send();
    }
    for (let index = 0; index < command.connections; index += 1) connect(index);
  });
}
