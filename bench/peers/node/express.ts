import { createSecretKey } from 'node:crypto';
import { and, desc, eq, not } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import express, { type NextFunction, type Request, type Response } from 'express';
import jwt from 'jsonwebtoken';
import { ZodError } from 'zod';
import { NewTask, TaskChange, TaskId, tasks } from './tasks-table.ts';

const { JWT_SECRET = '', DATABASE_URL = '', PORT = '8000' } = process.env;
const db = drizzle(DATABASE_URL);
/** With a string, jsonwebtoken is forty times slower: it first tries to parse it as a public key. */
const secret = createSecretKey(JWT_SECRET, 'utf8');
const app = express();
app.use(express.json());

const api = express.Router();

api.use((request: Request, response: Response, next: NextFunction) => {
  try {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const claims = jwt.verify(token, secret, { algorithms: ['HS256'] });
    response.locals.userId = claims.sub;
    next();
  } catch {
    response.status(401).json({ error: 'Authentication token is invalid' });
  }
});

const owned = (request: Request, response: Response) =>
  and(eq(tasks.id, TaskId.parse(request.params.id)), eq(tasks.user_id, response.locals.userId));

function found<T>(response: Response, [task]: T[]) {
  if (task === undefined) response.status(404).json({ error: 'Task not found' });
  else response.json(task);
}

api.get('/', async (_request, response) => {
  const mine = eq(tasks.user_id, response.locals.userId);
  const list = await db.select().from(tasks).where(mine).orderBy(desc(tasks.created_at), desc(tasks.id)).limit(1000);
  response.json({ tasks: list });
});

api.get('/:id', async (request, response) => {
  found(response, await db.select().from(tasks).where(owned(request, response)));
});

api.post('/', async (request, response) => {
  const values = { ...NewTask.parse(request.body), user_id: response.locals.userId };
  const [task] = await db.insert(tasks).values(values).returning();
  response.status(201).json(task);
});

api.put('/:id', async (request, response) => {
  const change = { ...TaskChange.parse(request.body), updated_at: new Date() };
  found(response, await db.update(tasks).set(change).where(owned(request, response)).returning());
});

api.post('/:id/toggle', async (request, response) => {
  const change = { is_completed: not(tasks.is_completed), updated_at: new Date() };
  found(response, await db.update(tasks).set(change).where(owned(request, response)).returning());
});

app.use('/api/tasks', api);
app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
  if (error instanceof ZodError) response.status(400).json({ error: 'Validation failed', details: error.issues });
  else response.status(500).json({ error: 'An internal server error occurred' });
});
app.listen(Number(PORT), '127.0.0.1');
