// The process that makes the load: takes orders from its parent, one at a time, and reports on each.
import type { LoadOrder, LoadReply } from './order.ts';
import { RequestBook } from './requests.ts';
import { runLoad } from './run.ts';

const book = new RequestBook(process.env.JWT_SECRET ?? '');

async function carryOut(order: LoadOrder): Promise<LoadReply> {
  try {
    return { kind: 'report', report: await runLoad(order, book.ring(order.kind, order.people)) };
  } catch (error) {
    return { kind: 'failure', message: error instanceof Error ? error.message : String(error) };
  }
}

process.on('message', (order: LoadOrder) => {
  void carryOut(order).then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
