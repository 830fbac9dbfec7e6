import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Changes } from '../test/support/changes.ts';
import { EventClient } from '../test/support/event-client.ts';
import type { Task } from '../test/support/service.ts';
import type { Drill } from './support/drill.ts';
import { runSql } from './support/postgres.ts';
import { quantile } from './support/samples.ts';

const SECONDS = { short: 4, long: 10 };
const BETWEEN_WRITES_MS = 100;
/** 1 s on a machine that is not busy; the short form only shows that nothing waits for the transactions. */
const MAX_SEEN_MS = { short: 3_500, long: 1_000 };
const USER = 'somebody';

/** A transaction that has written, and stays open. */
async function openTransaction(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('create table of_others (number integer)');
  await client.query('begin');
  await client.query('insert into of_others values (1)');
  return client;
}

export const longTransaction: Drill = {
  name: 'long-transaction',
  holds:
    'transactions of others on the same server stay open: changes and streams of both processes go on, seen within 1 s',
  timeoutSeconds: { short: 60, long: 60 },
  run: async (run) => {
    const server = await run.postgres();
    const service = run.service({ DATABASE_URL: server.url() });
    const [writing, watching] = [service.spawn(), service.spawn()];
    const [from, to] = await Promise.all([writing.listening(), watching.listening()]);
    await runSql(server, 'create database others');
    const open = await Promise.all([openTransaction(server.url('others')), openTransaction(server.url())]);

    const client = run.client();
    const token = (await client.authorization(USER)).slice('Bearer '.length);
    const streams = await Promise.all([EventClient.open(from, token), EventClient.open(to, token)]);
    const times: { readonly same: number[]; readonly other: number[] } = { same: [], other: [] };
    let cursor = '';
    let written = 0;
    const end = performance.now() + SECONDS[run.scale] * 1_000;
    while (performance.now() < end) {
      const body = { title: `task ${written}` };
      const created = await client.request(`${from}/api/tasks`, { method: 'POST', user: USER, body });
      const { id }: Task = JSON.parse(created.body);
      written += 1;
      await Promise.all(
        streams.map(async (stream, index) => {
          await stream.until(({ changes }) => changes.some((change) => change.id === id));
          times[index === 0 ? 'same' : 'other'].push(performance.now() - created.receivedAt);
        }),
      );
      const page = await client.request(`${to}/api/changes?${cursor}`, { user: USER });
      const changes: Changes = JSON.parse(page.body);
      run.expect(
        changes.changes.some((change) => change.id === id),
        `the changes of the other process lack ${body.title}`,
      );
      cursor = `cursor=${changes.cursor}`;
      await delay(BETWEEN_WRITES_MS);
    }
    for (const stream of streams) stream.close();
    for (const transaction of open) {
      const { rows } = await transaction.query('select count(*)::int as count from of_others');
      run.expect(rows[0]?.count === 1, 'a transaction was not open until the end');
      await transaction.query('commit');
      await transaction.end();
    }
    const slowest = Math.max(...times.same, ...times.other);
    run.expect(slowest <= MAX_SEEN_MS[run.scale], `a change was seen after ${Math.round(slowest)} ms`);
    const figure = (values: readonly number[]) =>
      `${Math.round(quantile(values, 0.5))}, ${Math.round(Math.max(...values))}`;
    return {
      'transactions open, s': SECONDS[run.scale],
      'writes seen meanwhile': written,
      'seen by the same process, ms (median, slowest)': figure(times.same),
      'seen by another, ms (median, slowest)': figure(times.other),
    };
  },
};
