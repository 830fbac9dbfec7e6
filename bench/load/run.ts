import { HttpConnection } from './http-connection.ts';
import type { LoadOrder, LoadReport } from './order.ts';
import type { PreparedRequest } from './requests.ts';

/** How long answers may take once nothing more is asked. */
const DRAIN_MS = 15_000;

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/**
 * Sends requests over every connection, each as soon as the last was answered, until the time is up.
 * @throws at the first answer with another status than was due, and when a connection fails.
 */
export function runLoad(order: LoadOrder, ring: readonly PreparedRequest[]): Promise<LoadReport> {
  return new Promise((resolve, reject) => {
    const connections: HttpConnection[] = [];
    const latencies: number[] = [];
    let bodyBytes = 0;
    let underWay = order.connections;
    const startedAt = performance.now();
    const stopAt = startedAt + order.milliseconds;
    const late = setTimeout(() => fail(new Error('An answer did not come')), order.milliseconds + DRAIN_MS);

    function end(): void {
      clearTimeout(late);
      for (const connection of connections) connection.close();
    }
    function fail(error: Error): void {
      end();
      reject(error);
    }
    function finish(): void {
      end();
      const sorted = Float64Array.from(latencies).sort();
      resolve({
        answers: latencies.length,
        milliseconds: performance.now() - startedAt,
        bodyBytes,
        p50Ms: percentile(sorted, 0.5),
        p99Ms: percentile(sorted, 0.99),
      });
    }

    function open(index: number): void {
      let next = Math.floor((index * ring.length) / order.connections);
      let sentAt = 0;
      let status = 0;
      const connection = new HttpConnection(order.port, {
        onAnswer: (answered, bytes) => {
          const now = performance.now();
          if (answered !== status) return fail(new Error(`Answered ${answered} where ${status} was due`));
          latencies.push(now - sentAt);
          bodyBytes += bytes;
          if (now < stopAt) {
            send();
            return;
          }
          underWay -= 1;
          if (underWay === 0) finish();
        },
        onFailure: fail,
      });
      connections.push(connection);
      function send(): void {
        const request = ring[next % ring.length];
        if (request === undefined) {
          fail(new Error('No requests to send'));
          return;
        }
        next += 1;
        status = request.status;
        sentAt = performance.now();
        connection.send(request.bytes);
      }
      send();
    }
    for (let index = 0; index < order.connections; index += 1) open(index);
  });
}
