import { serve } from '@hono/node-server';
import { zValidator } from '@hono/zod-validator';
import { and, desc, eq, not } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { type Context, Hono } from 'hono';
import { type JwtVariables, jwt } from 'hono/jwt';
import { z } from 'zod';
import { NewTask, TaskChange, TaskId, tasks } from './tasks-table.ts';

const { JWT_SECRET = '', DATABASE_URL = '', PORT = '8000' } = process.env;
const db = drizzle(DATABASE_URL);
const app = new Hono<{ Variables: JwtVariables<{ sub: string }> }>().basePath('/api/tasks');
app.use(jwt({ secret: JWT_SECRET, alg: 'HS256' }));

const params = zValidator('param', z.object({ id: TaskId }));
const owned = (id: string, userId: string) => and(eq(tasks.id, id), eq(tasks.user_id, userId));

function found(c: Context, [task]: (typeof tasks.$inferSelect)[]) {
  return task === undefined ? c.json({ error: 'Task not found' }, 404) : c.json(task);
}

app.get('/', async (c) => {
  const mine = eq(tasks.user_id, c.get('jwtPayload').sub);
  const list = await db.select().from(tasks).where(mine).orderBy(desc(tasks.created_at), desc(tasks.id)).limit(1000);
  return c.json({ tasks: list });
});

app.get('/:id', params, async (c) => {
  const mine = owned(c.req.valid('param').id, c.get('jwtPayload').sub);
  return found(c, await db.select().from(tasks).where(mine));
});

app.post('/', zValidator('json', NewTask), async (c) => {
  const values = { ...c.req.valid('json'), user_id: c.get('jwtPayload').sub };
  const [task] = await db.insert(tasks).values(values).returning();
  return c.json(task, 201);
});

app.put('/:id', params, zValidator('json', TaskChange), async (c) => {
  const mine = owned(c.req.valid('param').id, c.get('jwtPayload').sub);
  const change = { ...c.req.valid('json'), updated_at: new Date() };
  return found(c, await db.update(tasks).set(change).where(mine).returning());
});

app.post('/:id/toggle', params, async (c) => {
  const mine = owned(c.req.valid('param').id, c.get('jwtPayload').sub);
  const change = { is_completed: not(tasks.is_completed), updated_at: new Date() };
  return found(c, await db.update(tasks).set(change).where(mine).returning());
});

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(PORT) });
